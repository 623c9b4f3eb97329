"""Build the native modules in place.

Every `_name.pyx` below dsp/ is compiled once for each instruction set in
ISA_LEVELS, into dsp/_isa/<level>/_name.so; dsp/isa.py picks one at import.
Every other `_name.pyx` (drivers/, firmware/, hil/) is compiled once, for the
oldest level, beside its source.  Libraries and include folders are named in
the module itself (`# distutils: libraries = ...`).

What Cython needs for memory views is compiled once, into dsp/_isa/_shared.so,
instead of into each of the kernels at each level: that was two thirds of the time.

STROWGER_ONLY=<glob> builds only the modules whose path matches.
"""

import copy
import fnmatch
import os
import pathlib

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ISA_LEVELS = {"v2": "x86-64-v2", "v3": "x86-64-v3", "v4": "x86-64-v4"}
SHARED = "dsp._isa._shared"
ROOMS = ("dsp", "drivers", "firmware", "hil")
COMMON = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]


def sources():
    only = os.environ.get("STROWGER_ONLY", "*")
    for room in ROOMS:
        for path in sorted(pathlib.Path(room).rglob("_*.pyx")):
            if fnmatch.fnmatch(str(path), only):
                yield path


def name_of(path):
    return ".".join(path.with_suffix("").parts)


def extensions():
    """The Cython step runs once a module; the C step once a level."""
    paths = list(sources())
    kernels = [p for p in paths if p.parts[0] == "dsp"]
    shared = [Extension(SHARED, [SHARED.replace(".", "/") + ".c"])] if kernels else []
    generated = {ext.name: ext for chosen, options in
                 ((kernels, {"shared_utility_qualified_name": SHARED}), ([p for p in paths if p.parts[0] != "dsp"], {}))
                 for ext in cythonize(
                     (shared if chosen is kernels else []) + [Extension(name_of(p), [str(p)]) for p in chosen],
                     build_dir="build/cython", language_level=3, quiet=True,
                     compiler_directives={"boundscheck": False, "wraparound": False,
                                          "cdivision": True, "initializedcheck": False}, **options)}
    result = [generated[ext.name] for ext in shared]
    for path in paths:
        ext = generated[name_of(path)]
        levels = ISA_LEVELS if path.parts[0] == "dsp" else {"": "x86-64-v2"}
        for level, march in levels.items():
            name = f"dsp._isa.{level}.{path.stem}" if level else ext.name
            result.append(Extension(
                name, list(ext.sources),
                include_dirs=[numpy.get_include(), *ext.include_dirs],
                libraries=list(ext.libraries),
                define_macros=MACROS,
                depends=list(ext.depends),
                extra_link_args=list(ext.extra_link_args),
                extra_compile_args=[*COMMON, f"-march={march}", *ext.extra_compile_args]))
    return result


class BuildPerLevel(build_ext):
    """Objects of one source for several levels must not share a folder."""

    def build_extension(self, ext):
        # A copy, since with --parallel several threads build at once.
        own = copy.copy(self)
        own.build_temp = os.path.join(self.build_temp, ext.name)
        build_ext.build_extension(own, ext)


for level in ISA_LEVELS:
    pathlib.Path("dsp/_isa", level).mkdir(parents=True, exist_ok=True)
setup(ext_modules=extensions(), cmdclass={"build_ext": BuildPerLevel})
