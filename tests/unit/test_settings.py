"""Settings: three sources, one validation, messages that name the key as its writer spelled it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from compactor.errors import SettingsError
from compactor.settings import Settings, load_settings


def test_later_sources_win(tmp_path: Path) -> None:
    """The environment wins over the file, and flags over both; a flag that was not given hides nothing."""
    file = tmp_path / "lake.toml"
    file.write_text('target_size = "1MiB"\nmin_age = "1m"\nregion = "eu-west-1"\n')
    env = {"COMPACTOR_TARGET_SIZE": "2MiB", "COMPACTOR_MIN_AGE": "2m", "UNRELATED": "x"}
    settings = load_settings(file, env, {"target_size": "3MiB", "min_age": None})
    assert (settings.target_size, settings.min_age, settings.region) == (3 * 2**20, 120.0, "eu-west-1")


def test_values_become_the_cores_own() -> None:
    """Sizes, durations and the predicate reach the policy as numbers and as a parsed predicate; storage carries its fields along."""
    settings = Settings(target_size="64MiB", min_age="15m", where="day = '2026-01-01'", max_bytes="1GB", memory="2GiB", region="eu-west-1")
    policy = settings.policy()
    assert (policy.target_bytes, policy.min_age_s, policy.max_bytes, settings.memory_bytes) == (64 * 2**20, 900.0, 10**9, 2 * 2**30)
    assert policy.where is not None
    assert policy.where.text == "day = '2026-01-01'"
    assert settings.storage().region == "eu-west-1"


def test_every_policy_and_storage_field_has_a_key() -> None:
    """No rule of planning and no storage option is out of a user's reach (time-outs excepted)."""
    from dataclasses import fields

    from compactor.model.policy import Policy
    from compactor.model.storage import StorageOptions

    renamed = {"target_bytes": "target_size", "min_age_s": "min_age", "quiet_s": "quiet_period"}
    wanted = {renamed.get(field.name, field.name) for kind in (Policy, StorageOptions) for field in fields(kind)}
    assert wanted - set(Settings.model_fields) == {"connect_timeout_s", "request_timeout_s"}


def test_the_library_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings() in a program are what the program says, whatever the environment holds."""
    monkeypatch.setenv("COMPACTOR_TARGET_SIZE", "1MiB")
    assert Settings().target_size is None


@pytest.mark.parametrize(
    ("env", "flags", "message"),
    [
        ({"COMPACTOR_TARGT_SIZE": "1"}, {}, "COMPACTOR_TARGT_SIZE: there is no such settings key; did you mean COMPACTOR_TARGET_SIZE?"),
        ({}, {"target_size": "256 bananas"}, '--target-size: "256 bananas" is not a size such as "256MiB" or "1GB".'),
        ({"COMPACTOR_TARGET_SIZE": "0"}, {}, 'COMPACTOR_TARGET_SIZE: "0" is too small; write a size such as "256MiB" or "1GB".'),
        ({}, {"min_age": "soon"}, '--min-age: "soon" is not a duration such as "15m" or "2h".'),
        ({"COMPACTOR_EXECUTOR": "spark"}, {}, 'COMPACTOR_EXECUTOR: "spark" is not one of auto, local, ray or serial.'),
        ({}, {"min_input_files": "1"}, '--min-input-files: "1" is not a number of at least 2.'),
        ({}, {"parallelism": "many"}, '--parallelism: "many" is not a whole number.'),
        ({}, {"endpoint_url": "minio:9000"}, '--endpoint-url: "minio:9000" is not an endpoint such as "https://minio.example:9000".'),
        ({"COMPACTOR_FORCE_REWRITE": "perhaps"}, {}, 'COMPACTOR_FORCE_REWRITE: "perhaps" is not true or false.'),
    ],
)
def test_what_is_wrong_is_named(env: dict[str, str], flags: dict[str, object], message: str) -> None:
    """One sentence: the key in its writer's spelling, the value, what is wanted."""
    with pytest.raises(SettingsError) as caught:
        load_settings(None, env, flags)
    assert str(caught.value) == message


def test_a_predicate_is_checked_with_the_other_keys() -> None:
    """A predicate outside the language is a settings error that says what is understood."""
    with pytest.raises(SettingsError, match=r"^--where: .*understood are comparisons"):
        load_settings(None, {}, {"where": "day LIKE '2026%'"})


def test_a_bad_value_is_found_even_when_it_is_hidden(tmp_path: Path) -> None:
    """A flag does not excuse nonsense in the file below it."""
    file = tmp_path / "lake.toml"
    file.write_text("max_groups = 0\n")
    with pytest.raises(SettingsError, match=r"lake\.toml: max_groups: \"0\" is not a number of at least 1\.$"):
        load_settings(file, {}, {"max_groups": 3})


def test_an_unknown_key_of_a_file_is_told_what_it_resembles(tmp_path: Path) -> None:
    """The file is named once, and the key as one would write it there."""
    file = tmp_path / "lake.toml"
    file.write_text('target_sise = "1MiB"')
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {}, {})
    assert str(caught.value) == f"{file}: target_sise: there is no such settings key; did you mean target_size?"


@pytest.mark.parametrize(("text", "why"), [("target_size = ", "is not TOML"), (None, "cannot be read: no such file")])
def test_a_file_that_is_no_settings_file(tmp_path: Path, text: str | None, why: str) -> None:
    """A missing or malformed file is one sentence that names it."""
    file = tmp_path / "lake.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=why) as caught:
        load_settings(file)
    assert str(file) in str(caught.value)


def test_what_is_not_a_setting_in_the_environment_is_passed_over() -> None:
    """Empty variables, the command line's own, and those that Kubernetes invents beside a Service called compactor are no settings."""
    env = {
        "COMPACTOR_REGION": "",
        "COMPACTOR_DEBUG": "1",
        "COMPACTOR_CONFIG": "/etc/lake.toml",
        "COMPACTOR_PORT": "tcp://10.0.0.1:80",
        "COMPACTOR_PORT_80_TCP": "tcp://10.0.0.1:80",
        "COMPACTOR_SERVICE_HOST": "10.0.0.1",
    }
    assert load_settings(None, env) == Settings()


def test_settings_errors_travel_between_processes() -> None:
    """A SettingsError survives pickling with its message."""
    with pytest.raises(SettingsError) as caught:
        Settings(executor="spark")  # type: ignore[arg-type]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301
