#!/bin/sh
# Chromium that ends when chromedriver does, and so when the rig is killed.
exec setpriv --pdeathsig TERM /usr/bin/chromium "$@"
