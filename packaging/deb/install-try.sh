#!/usr/bin/env bash
# bash packaging/deb/install-try.sh DEB FOLDER: installs, removes and purges the package on a layer over
# this system that nobody keeps. Ends with 77 where no layer can be made. For check.sh, as root.
set -euo pipefail
deb="$(realpath "$1")" layer="$(realpath "$2")"
if [ -z "${KONSIL_LAYER:-}" ]; then
  KONSIL_LAYER=yes exec unshare --mount bash "$0" "$deb" "$layer"
fi
mount --make-rprivate /
mount -t tmpfs none "$layer"
mkdir "$layer"/{upper,work,tree}
cp "$deb" "$layer/upper/konsil.deb"
mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$layer/tree" || exit 77
mount --bind /dev "$layer/tree/dev"
mount --bind /proc "$layer/tree/proc"
chroot "$layer/tree" bash -euxc '
  dpkg --install /konsil.deb
  konsil --version
  test "$(stat -c "%U %a" /var/lib/konsil)" = "konsil 700"
  test "$(stat -c "%U %a" /var/lib/konsil-dealer)" = "konsil-dealer 700"
  runuser -u konsil -- konsil node init --name north /var/lib/konsil
  runuser -u konsil-dealer -- konsil dealer init --name dealer /var/lib/konsil-dealer
  test ! -e /etc/systemd/system/multi-user.target.wants/konsil-node.service
  dpkg --install /konsil.deb
  dpkg --remove konsil
  test ! -e /usr/bin/konsil
  dpkg --purge konsil
  test -s /var/lib/konsil/data.key
'
