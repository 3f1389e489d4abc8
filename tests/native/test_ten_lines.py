import subprocess
import sys
from pathlib import Path

SCRIPT = """\
import sys, time
from lcrt import Context, ContextParams, Model
model = Model(sys.argv[1])
context = Context(model, ContextParams(n_ctx=256))
clock = [time.perf_counter()]
token = context.decode([5] * 128).argmax()
clock.append(time.perf_counter())
for _ in range(64): token = context.decode([token]).argmax()
clock.append(time.perf_counter())
print(f"prefill {128 / (clock[1] - clock[0]):.0f} tokens/s, decode {64 / (clock[2] - clock[1]):.0f} tokens/s")
"""


def test_ten_lines_measure_prefill_and_decode(tiny_path: Path) -> None:
    assert len(SCRIPT.splitlines()) == 10
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tiny_path)], capture_output=True, text=True, check=True)
    words = done.stdout.split()
    assert words[0::3] == ["prefill", "decode"]
    assert all(float(rate) > 0 for rate in words[1::3])
    assert done.stderr == ""
