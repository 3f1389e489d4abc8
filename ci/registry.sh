#!/bin/sh
# Debian's registry server for the tests of push and pull: what is installed, else the package unpacked into
# build/registry, where it starts no service and changes nothing else. Without apt those tests use only our own.
set -u
command -v docker-registry >/dev/null && exit 0
[ -x build/registry/usr/bin/docker-registry ] && exit 0

apt="apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20"
folder=build/registry
get() {
    (cd $folder && $apt download docker-registry) >/dev/null 2>&1
}

mkdir -p $folder
if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    get || { [ "$(id -u)" = 0 ] && $apt update >/dev/null 2>&1 && get; }
    for package in $folder/docker-registry_*.deb; do
        [ -f "$package" ] && dpkg-deb -x "$package" $folder
    done
    rm -f $folder/docker-registry_*.deb
fi
[ -x $folder/usr/bin/docker-registry ] ||
    echo "docker-registry cannot be had here (apt-get install docker-registry): push is tested on our own registry only"
exit 0
