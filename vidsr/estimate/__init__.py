"""How long a job will take and how large its output will be, from stretches of the real file."""
