"""How alike two videos are: PSNR, SSIM and VMAF, frame by frame."""
