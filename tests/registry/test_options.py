from lcrt.config.settings import load_settings
from lcrt.registry.options import Options, from_settings


def test_what_the_environment_says_is_what_pulls_keep_to() -> None:
    environ = {
        "LCRT_PULL_PARTS": "3",
        "LCRT_LIMIT_RATE": "5MB",
        "LCRT_REGISTRY_MIRROR": "registry.ollama.ai=http://mirror:5000/x",
        "LCRT_OFFLINE": "1",
    }
    options = from_settings(load_settings(environ), "me")
    mirrors = (("registry.ollama.ai", "http://mirror:5000/x"),)
    assert options == Options("me", parts=3, limit_rate=5_000_000, mirrors=mirrors, offline=True)


def test_without_settings_defaults_stay() -> None:
    assert from_settings(load_settings({}), "me") == Options("me")
