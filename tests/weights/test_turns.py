"""Encoders and experts that start at once, each on a thread of its own."""

import subprocess
import sys
import textwrap

from tests.tiny import save_tiny

TWO_AT_ONCE = textwrap.dedent("""
    import sys
    import threading
    import time
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from motet.config import Setting
    from motet.encoders.encoder import Encoder
    from motet.generation.loading import load_model

    import torch  # not what they race for

    half_way = threading.Event()


    class Pause:
        def find_spec(self, name, *_):
            if name == "transformers.utils" and not half_way.is_set():
                half_way.set()
                time.sleep(1)


    sys.meta_path.insert(0, Pause())
    folder = Path(sys.argv[1])
    with ThreadPoolExecutor(2) as threads:
        encoder = Encoder("tiny", folder)
        width = threads.submit(lambda: encoder.width)
        half_way.wait()
        model, _ = load_model(str(folder), Setting(folder, folder), "float32", "cpu")
        assert width.result() == 32
        assert all(weight.device.type == "cpu" for weight in model.parameters())
""")


def test_two_may_begin_with_transformers_at_once(tmp_path):
    folder = save_tiny(tmp_path / "tiny", "llama")
    done = subprocess.run(
        [sys.executable, "-c", TWO_AT_ONCE, folder],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
