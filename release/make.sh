#!/usr/bin/env bash
# Makes all that is released, in an empty folder: packages, the .NET tool, the wheel, the native command, the tarball with libtorch and
# its own .NET, lists of what is in them (CycloneDX), and the digests. docs/install.md describes them. It takes what is committed, and
# the same commit gives the same files.
set -euo pipefail
[ $# = 1 ] || { echo "usage: release/make.sh DIR" >&2; exit 2; }
mkdir -p "$1"
[ -z "$(ls -A "$1")" ] || { echo "$1 is not empty" >&2; exit 2; }
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
mkdir -p artifacts # Beside the packages of NuGet, whose files are linked and not copied where that can be.
work=$(mktemp -d -p "$PWD/artifacts")
trap 'rm -rf "$work"' EXIT
git clone --quiet . "$work/source"
cd "$work/source"
git remote remove origin
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) # The time of the files in NuGet's packages.
export SOURCE_DATE_EPOCH CI=true DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
version=$(sed -n 's/.*<Version>\(.*\)<\/Version>.*/\1/p' Directory.Build.props)
processor=$(uname -m)

# The same input gives the same file.
pack() {
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX,go-w -C "$work" -czf "$out/$1.tar.gz" "$2"
}

for project in Mystique Mystique.TorchSharp Mystique.Cli; do
  dotnet pack -c Release -m:1 "src/$project" -o "$out"
done
assets=artifacts/obj/Mystique.Cli/project.assets.json
python3 release/sbom.py Mystique.Cli "$version" $assets > "$out/Mystique.Cli.$version.cdx.json"

# The command with libtorch runs on a .NET of its own, in the folder dotnet, which its worker is started with, too.
bundle=$work/mystique-$version
dotnet publish src/Mystique.Cli -c Release -m:1 -o "$bundle/lib" -p:AppHostDotNetSearch=AppRelative -p:AppHostRelativeDotNet=../dotnet \
  -p:DebugType=none
runtime=$(dotnet --list-runtimes | sed -n 's/^Microsoft.NETCore.App \(10\.[^ ]*\) \[\(.*\)\]$/\1 \2/p' | tail -n 1)
from=$(dirname "$(dirname "${runtime#* }")")
mkdir -p "$bundle/dotnet/shared/Microsoft.NETCore.App" "$bundle/dotnet/host/fxr" "$bundle/bin"
cp "$from/dotnet" "$from/LICENSE.txt" "$from/ThirdPartyNotices.txt" "$bundle/dotnet"
cp -r "$from/shared/Microsoft.NETCore.App/${runtime% *}" "$bundle/dotnet/shared/Microsoft.NETCore.App"
cp -r "$from/host/fxr/${runtime% *}" "$bundle/dotnet/host/fxr"
ln -s ../lib/Mystique.Cli "$bundle/bin/mystique"
cp LICENSE "$bundle"
python3 python/notices.py $assets > "$bundle/THIRD-PARTY-NOTICES.md"
pack "mystique-$version-linux-$processor" "mystique-$version"
python3 release/sbom.py mystique "$version" $assets "${runtime% *}" > "$out/mystique-$version-linux-$processor.cdx.json"

# The wheel and the native command, of the same files: native PROCESSOR FOLDER [OPTION…].
native() {
  local name=mystique-native-$version native=artifacts/native/obj/Mystique.Cli/project.assets.json
  dotnet publish src/Mystique.Cli -c Release -m:1 -p:Native=true -p:Wheel=true "-p:WheelFolder=$out" "${@:3}"
  rm -rf "${work:?}/$name"
  cp -r "artifacts/native/$2" "$work/$name"
  cp LICENSE "$work/$name"
  python3 python/notices.py $native > "$work/$name/THIRD-PARTY-NOTICES.md"
  pack "$name-linux-$1" "$name"
  python3 release/sbom.py mystique-native "$version" $native > "$out/$name-linux-$1.cdx.json"
}
native "$processor" mystique
if [ "$processor" = x86_64 ] && command -v aarch64-linux-gnu-gcc > /dev/null; then
  native aarch64 mystique-linux-arm64 -r linux-arm64
fi

(cd "$out" && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum > SHA256SUMS)
cat "$out/SHA256SUMS"
