from pathlib import Path
def test_x(finished: Path): print(list(finished.iterdir()))
