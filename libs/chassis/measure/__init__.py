"""What a process tells about its work: metrics, traces and logs."""
