"""Files, containers, codecs, time stamps and colour tags: everything PyAV is asked for happens in here."""
