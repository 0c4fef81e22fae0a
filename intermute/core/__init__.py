"""The pure core: rules without clocks, files, sockets or logs."""
