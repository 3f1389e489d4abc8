"""Microseconds per token of llama.cpp's sampler chain and of ours, by vocabulary and setting."""

import os
import subprocess

from bench.peers import ROOT


def main() -> None:
    """Run the C program, which alternates by itself."""
    bin_folder = ROOT / "build" / "dev" / "bin"
    subprocess.run([str(bin_folder / "bench-sampler")], check=True, env={**os.environ, "LCRT_LIB_DIR": str(bin_folder)})


if __name__ == "__main__":
    main()
