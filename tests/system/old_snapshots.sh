#!/bin/bash
# Tests that snapshots of earlier versions, stored in tests/snapshots/VERSION, resume like those of this version. Each is of
# a net with momentum, batch norm and dropout, in the middle of an epoch, in both formats.
#
#   old_snapshots.sh TRAINER [--write VERSION]    --write creates the files of a version, to be stored
#
# The last bits of a training depend on the processor, even with one thread: exp and sqrt, OpenBLAS and oneDNN. So the test
# does not compare with a stored hash. It checks that:
# - a resume with no iterations left writes the bytes of the stored weights and each line of the stored state again, from
#   both formats: this version reads old files completely and exactly;
# - resumes from both formats give the same bits;
# - on a processor on which this version's run from the beginning passes through the stored snapshot, that run gives the
#   same bits too; on other processors the results differ only by rounding. A wrong cursor, seed, pass number or history
#   causes differences of 0.1 and more.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"
export OMP_NUM_THREADS=1 TRAINER_ISA=v2
kept=$source_folder/tests/snapshots

# Eleven 4x4 images, so that five batches of four end within the second epoch.
make_database() {
  local record pixel
  {
    printf '\0\0\x08\x03\0\0\0\x0b\0\0\0\x04\0\0\0\x04'
    for record in {1..11}; do
      for pixel in {1..16}; do printf "\\x$(printf %02x $((record * 37 * pixel % 251)))"; done
    done
  } >images
  { printf '\0\0\x08\x01\0\0\0\x0b' && printf '\0\1\2\0\1\2\0\1\2\0\1'; } >labels
  "$trainer" convert idx images labels db >log 2>&1
}
train() { "$trainer" train --solver=solver.prototxt --run_dir= "$@" >log 2>&1; }
hdf5=(--set snapshot_format=HDF5 --set snapshot_prefix=y)

if [ "${2:-}" = --write ]; then
  folder=$kept/$3
  cp "$folder"/{net,solver}.prototxt .
  make_database && train && train "${hdf5[@]}" && cp {x,y}_iter_5.* x_iter_10.caffemodel "$folder"
  exit
fi

decoded() { protoc -I "$source_folder/proto" "--decode=caffe.$1" trainer.proto <"$2"; }
# Whether each line of A's text is also in B's; ignores the solver's text, which differs in max_iter.
holds_all_of() {
  [ -z "$(grep -Fxv -f <(decoded SolverState "$2") <(decoded SolverState "$1" | sed '/^resolved_solver/d'))" ]
}
# Whether two models are equal up to rounding.
near() {
  paste <(decoded NetParameter "$1") <(decoded NetParameter "$2") | awk '
    $1 == "data:" && $3 == "data:" { n++; d = $2 - $4; if (d < -1e-4 || d > 1e-4) bad = 1 }
    END { exit bad || n < 60 }'
}

for folder in "$kept"/*/; do
  version=$(basename "$folder")
  mkdir "$work/$version" && cd "$work/$version" || exit 2
  : >log
  cp "$folder"/*.prototxt .
  check "data_of_$version" "$(tail -n 1 log)" make_database
  check "trained_as_$version" "$(tail -n 1 log)" train
  mkdir own && mv x_iter_* own
  for format in x_iter_5.solverstate y_iter_5.solverstate.h5; do
    name=${version}_${format##*_5.}
    check "${name}_is_read" "$(tail -n 1 log)" train --snapshot="$folder/$format" --set max_iter=5 --set snapshot=0
    check "${name}_gives_its_weights" "they differ" cmp x_iter_5.caffemodel "$folder/x_iter_5.caffemodel"
    check "${name}_gives_its_state" "a line is missing" holds_all_of "$folder/x_iter_5.solverstate" x_iter_5.solverstate
    check "${name}_resumes" "$(tail -n 1 log)" train --snapshot="$folder/$format"
    mkdir "${format##*_5.}" && mv x_iter_* "${format##*_5.}"
  done
  end=solverstate/x_iter_10.caffemodel
  check "${version}_formats_agree" "they differ" cmp $end solverstate.h5/x_iter_10.caffemodel
  check "${version}_goes_on_as_it_did" "other weights" near $end "$folder/x_iter_10.caffemodel"
  check "${version}_goes_on_as_this_version" "other weights" near $end own/x_iter_10.caffemodel
  if cmp -s own/x_iter_5.caffemodel "$folder/x_iter_5.caffemodel"; then
    check "${version}_goes_on_to_the_same_bits" "they differ" cmp $end own/x_iter_10.caffemodel
  fi
done
finish
