"""What a file is and whether files fit together, for `countless info`.

A module for each kind of file has `examine(path, say)`: it says what it finds, rows of a table at a
time, and returns a `File` with what the comparison of files takes (`recon.doctor.fits`).
"""
