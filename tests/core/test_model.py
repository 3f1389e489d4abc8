from lcrt.core.model import RunnerInfo


def info(size: int, size_device: int) -> RunnerInfo:
    return RunnerInfo(4096, 8192, 26, 4, size, size_device, 0.0, 1)


def test_what_is_added_lies_where_the_rest_lies() -> None:
    assert info(1000, 0).grown(50) == info(1050, 0)
    assert info(1000, 1000).grown(50) == info(1050, 1050)
    assert info(1000, 500).grown(50) == info(1050, 525)
    assert info(0, 0).grown(50) == info(50, 0)
