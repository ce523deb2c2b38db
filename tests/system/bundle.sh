#!/bin/bash
# Tests that the bundle, created from the program's build folder, runs on a system with only libc and libstdc++: in a
# chroot that holds these and the unpacked bundle. If this user may not create a chroot, the program runs without one; the
# checks of the libraries that it loads run in both cases.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

most_mib=64
# The newest that it may ask of its host; docs/installing.md promises this.
newest_glibc=GLIBC_2.34 newest_libstdcxx=GLIBCXX_3.4.30
of_the_host='lib(c|m|mvec|dl|rt|pthread|resolv|util|stdc\+\+|gcc_s)\.so\.[0-9.]+|ld-linux-x86-64\.so\.2'

build=$(dirname "$trainer")
cpack --config "$build/CPackConfig.cmake" -B "$work/made" >cpack.log 2>&1
archive=$(echo made/*.tar.gz)
[ -f "$archive" ] || { bad bundle_is_made "$(tail -n 20 cpack.log)"; finish; exit; }
ok bundle_is_made
bytes=$(stat -c %s "$archive")
check bundle_size "$bytes bytes, at most $most_mib MiB may be" [ "$bytes" -lt $((most_mib << 20)) ]

# The unpacked bundle: $bundle is its path on the host, $home its path in the chroot.
root="$work/root" home="/home/user/my programs"
mkdir -p "$root$home" "$root/proc" "$root/work/snap"
tar -xzf "$archive" -C "$root$home" && rm -rf made
home+=/$(basename "$archive" .tar.gz) bundle=$root$home
check one_folder_that_is_named_as_the_file "$(ls "$(dirname "$bundle")")" [ -x "$bundle/bin/trainer" ]

binaries() { find "$bundle/bin" "$bundle/lib" -maxdepth 1 -type f -exec "$@" {} \;; }
paths=$(binaries readelf -dW | grep -E '\((RPATH|RUNPATH)\)' | grep -vE '\[\$ORIGIN(/\.\./lib)?\]')
check no_path_leads_out "$paths" [ -z "$paths" ]
unstripped=$(binaries readelf -SW | grep -E '\.(symtab|debug_info)')
check stripped "$unstripped" [ -z "$unstripped" ]
for newest in $newest_glibc $newest_libstdcxx; do
  asked=$(binaries readelf -VW | grep -oE "Name: ${newest%_*}_[0-9.]+" | cut -c 7- | sort -uV | tail -n 1)
  check "asks_no_more_than_$newest" "$asked is asked for" \
    [ "$(printf '%s\n' "$asked" $newest | sort -V | tail -n 1)" = $newest ]
done
undescribed=$(cd "$bundle/lib" && for library in *.so*; do
  package=$(sed -n "s|^lib/${library//+/\\+}: \([^,]*\),.*|\1|p" ../licences/LIBRARIES)
  [[ $library == libtrainer* ]] || [ -n "$package" -a -s "../licences/$package" ] || echo "$library"
done)
check every_library_has_its_licence "$undescribed" [ -z "$undescribed" ]
if [ -e "$bundle/lib/libtrainer_cuda.so" ]; then
  check nvidias_runtime_has_its_licence "$(tail -n 1 "$bundle/licences/LIBRARIES")" \
    grep -q '^lib/libtrainer_cuda\.so: .*NVIDIA.*libcudart_static.* https://docs\.nvidia\.com/cuda/eula/' "$bundle/licences/LIBRARIES"
fi
wanted=$(sed -n 's/^OPENBLAS_LIBRARY:.*=//p' "$build/CMakeCache.txt")
check openblas_is_the_one_built_with "$wanted is another" cmp "$wanted" "$bundle/lib/libopenblas.so.0"
stray=$(cd "$bundle" && find models -type f ! -name README.md ! -name '*.prototxt' && find docs -type f ! -name '*.md' &&
  find . -mindepth 1 -maxdepth 1 | grep -vE '^\./(bin|include|lib|licences|models|docs|README\.md|CHANGELOG\.md|LICENSE)$')
check nothing_stray "$stray" [ -z "$stray" ]

# Fills the chroot with the host's libraries, at the paths at which its loader looks for them.
ldd "$trainer" | grep -oE '/[^ ]+' | grep -E "/($of_the_host)\$" | while read -r library; do
  mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"
done
loader=$(ldd "$trainer" | grep -oE '/[^ ]+/ld-linux-x86-64\.so\.2')
chroot=$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)
variables=() seen=
# run PROGRAM ARGUMENT...: replaces the calling shell by the program, with $variables as its environment.
run() {
  local start=(env -i "${variables[@]}")
  [ -n "$seen" ] || start=(unshare "${rights[@]}" --mount sh -c 'mount --rbind /proc "$0/proc" && exec "$@"' "$root"
    "${start[@]}" "$chroot" "$root")
  exec "${start[@]}" "$@"
}
rights=()
if ! (run "$loader" --version) >/dev/null 2>&1; then
  rights=(--map-root-user)
  (run "$loader" --version) >/dev/null 2>root.log || { seen=$root; echo "no root of its own: $(tail -n 1 root.log)"; }
fi
program="$seen$home/bin/trainer" here=$seen/work
# says PATTERN PROGRAM ARGUMENT...: the program ends with code 0 and writes a line that matches the pattern.
says() { (run "${@:2}") >log 2>&1 && grep -qE -- "$1" log; }
# refuses CODE ARGUMENT...: the program ends with this code.
refuses() { (run "$program" "${@:2}") >log 2>&1; [ $? = "$1" ]; }
last_lines() { tail -n 5 log; }

loads="($seen$home/bin/\.\./lib/[^/]+|/\S*/($of_the_host)|linux-vdso\.so\.1)"
(run "$loader" --list "$program") >list 2>&1
: >log
elsewhere=$(grep -vE "^\s*(\S+ => )?$loads \(" list)
check every_library_is_the_bundles_or_libc "$elsewhere" [ -s list -a -z "$elsewhere" ]
check device_query "$(last_lines)" says '^Threads used: ' "$program" device_query
net="$seen$home/models/lenet/lenet_train_test.prototxt"
check summary "$(last_lines)" says 'ip2 +InnerProduct' "$program" summary --model="$net" --stage=bench
check time "$(last_lines)" says 'Average Forward-Backward: ' \
  "$program" time --model="$net" --stage=bench --update --iterations=1
check exit_code_of_a_mistake "$(last_lines)" refuses 2 train --solver="$here/nowhere.prototxt"

# Uses the libraries that a net with random batches does not call.
mkdir "$root/work/pictures"
printf 'P3 4 4 255 %s' "$(yes 200 | head -n 48 | xargs)" >"$root/work/pictures/a.ppm"
echo 'a.ppm 1' >"$root/work/list.txt"
printf '1,2,0\n3,4,1\n' >"$root/work/rows.csv"
for backend in lmdb leveldb; do
  check "convert_$backend" "$(last_lines)" says '^1 records? written' "$program" convert imageset "$here/pictures/" \
    "$here/list.txt" "$here/$backend" --backend=$backend --encoded --encode_type=jpg --resize_height=6 --resize_width=6
done
check convert_hdf5 "$(last_lines)" says . "$program" convert hdf5 data="$here/rows.csv" "$here/rows.h5"

# A training computes the same losses as the program of the build folder, restarts itself with the environment that
# process setup needs, and ends with a snapshot.
write_tiny_net "$root/work/net.prototxt"
training() { # FOLDER MAX_ITER
  echo "net: '$1/net.prototxt' base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 random_seed: 1 display: 1 max_iter: $2
        snapshot_prefix: '$1/snap/x'"
}
losses() { sed -n 's/.*\(Iteration [0-9]*\) .*\(loss = .*\)/\1 \2/p' "$1"; }
training "$here" 4 >"$root/work/solver.prototxt"
training "$root/work" 4 >solver.prototxt
variables=(OMP_NUM_THREADS=2)
check train "$(last_lines)" says 'Optimization Done' "$program" train --solver="$here/solver.prototxt" --run_dir=
losses log >losses
OMP_NUM_THREADS=2 "$trainer" train --solver=solver.prototxt --run_dir= >log 2>&1
losses log >wanted_losses
check train_computes_the_same "$(diff losses wanted_losses)" cmp losses wanted_losses
check train_displays "no loss was displayed" [ -s losses ]

variables=()
training "$here" 1000000000 >"$root/work/solver.prototxt"
: >log
(run "$program" train --solver="$here/solver.prototxt" --run_dir=) >log 2>&1 &
pid=$!
wait_for 20 grep -q 'Iteration 3\b' log
tr '\0' '\n' </proc/$pid/environ >environment
check starts_itself_again "$(cat environment)" grep -qx OMP_WAIT_POLICY=passive environment
kill -TERM $pid
wait $pid
code=$?
check stops_with_a_snapshot "exit code $code" [ $code = 143 -a -n "$(compgen -G "$root/work/snap/*.solverstate")" ]

# The program finds its libraries through a symbolic link and in spite of LD_LIBRARY_PATH.
ln -s "$program" "$root/work/trainer"
check by_a_symbolic_link "$(last_lines)" says '^trainer ' "$here/trainer" --version
mkdir "$root/work/others"
for library in "$bundle"/lib/*; do echo 'no library' >"$root/work/others/$(basename "$library")"; done
variables=(LD_LIBRARY_PATH="$here/others")
check before_the_library_path "$(last_lines)" says '^Threads used: ' "$program" device_query
variables=()

# The plugin, if it was built, is loaded. If NVIDIA's libraries are missing, it names them.
if [ -e "$bundle/lib/libtrainer_cuda.so" ]; then
  (run "$program" summary --model="$net" --stage=bench --gpu=sm_90) >log 2>&1
  code=$?
  loaded() { [ $code = 0 ] || { [ $code = 5 ] && ! grep -qE 'cannot be loaded|(is|has) no CUDA device' log; }; }
  check plugin_is_loaded "exit code $code, $(last_lines)" loaded
fi

# The bundle of gpu_check, if its programs were built: its own libraries, some of them stand-ins, define all functions, and
# its programs run with them.
if [ -x "$build/bundled/trainer_tests" ]; then
  checked=$work/checked
  FASHION_MNIST= cmake --install "$build" --prefix "$checked" --strip >log 2>&1 &&
    FASHION_MNIST= cmake --install "$build" --prefix "$checked" --strip --component gpu_check >>log 2>&1
  check gpu_check_is_made "$(last_lines)" [ -x "$checked/tools/gpu_check" -a -s "$checked/commit" ]
  export LD_BIND_NOW=1
  elsewhere=$(ldd "$checked/bin/trainer" "$checked/bin/trainer_tests" | grep '=>' | grep -vE "=> ($checked/bin/\.\./lib/\S+|/\S*/($of_the_host)) \(")
  check gpu_check_has_its_libraries "$elsewhere" [ -z "$elsewhere" ]
  "$checked/bin/trainer_tests" --gtest_list_tests >tests 2>&1
  check gpu_check_has_its_tests "$(cat tests)" [ "$(grep -cE '^(Gpu|OneOrManyProcesses/SeveralDevices|Cases/Conformance|Layers/LayerContract)\.' tests)" = 4 ]
  TRAINER_SOURCE_DIR=$checked "$checked/bin/trainer_tests" --gtest_filter='*Conformance*/solver_sgd*:*Conformance*/tile' >log 2>&1
  check gpu_check_reads_cases "$(last_lines)" grep -q '^\[  PASSED  \] [1-9][0-9]* tests' log
  check stand_ins_are_listed "$(tail -n 8 "$checked/licences/LIBRARIES")" grep -q 'libcurl.so.4: a stand-in' "$checked/licences/LIBRARIES"
  unset LD_BIND_NOW
fi
truncate -s 48M fits.tar.xz
truncate -s $(((48 << 20) + 1)) large.tar.xz
size() { cmake "-DARCHIVE=$work/$1" -DMOST_MIB=48 -P "$source_folder/tools/gpu_check_size.cmake" >log 2>&1; }
check size_that_fits "$(cat log)" size fits.tar.xz
check size_that_is_too_large_is_refused "$(cat log)" eval '! size large.tar.xz && grep -q "large.tar.xz has 49 MiB, and 48 MiB" log'
finish
