"""The R2 variants there is data for: JSON files in boardconfig/r2, one a country or network.

    load_r2("cn") -> the data of firmware/proto/r2/variant.py, which checks it.

Sources stand in each file.  Raises ConfigError(path, advice)."""

import json
import os

from firmware.errors import ConfigError

DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "r2")


def r2_variants():
    """Names of the variants, sorted."""
    return sorted(name[:-5] for name in os.listdir(DIRECTORY) if name.endswith(".json"))


def load_r2(name):
    """The data of one variant."""
    if name not in r2_variants():
        raise ConfigError("r2_variant", "there is no %r, choose one of %s" % (name, ", ".join(r2_variants())))
    with open(os.path.join(DIRECTORY, name + ".json"), encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError as error:
            raise ConfigError("r2/%s.json" % name, "is no JSON: %s" % error) from error
