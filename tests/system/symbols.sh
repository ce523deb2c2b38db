#!/bin/bash
# The exports of libtrainer.so: the C interface and the namespaces trainer and caffe, no symbol of other libraries.
#
#   tests/system/symbols.sh TRAINER
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

library=$(dirname "$trainer")/libtrainer.so.0
check soname "$(readelf -dW "$library" | grep SONAME)" grep -q '\[libtrainer\.so\.0\]' <(readelf -dW "$library" | grep SONAME)
nm -D --defined-only "$library" | sed 's/^[0-9a-f]* [A-Za-z] //' >mangled
c++filt <mangled >names
ours='^(((non-virtual|virtual) thunk to|(vtable|typeinfo|typeinfo name|VTT|guard variable|construction vtable) for) )?(trainer|caffe)::'
stray=$(grep -vE "$ours|^trainer_[a-z_]+$" names)
check exports_its_own_names_only "$(head -n 5 <<<"$stray")" [ -z "$stray" ]

# Each function of the C header, and the classes of the C++ header.
declared=$(sed -n 's/^[a-z].*[ *]\(trainer_[a-z_]*\)(.*/\1/p' "$source_folder/include/trainer/trainer_c.h" | sort)
exported=$(grep -E '^trainer_[a-z_]+$' names | sort)
check exports_the_c_interface "$(diff <(echo "$declared") <(echo "$exported"))" [ -n "$declared" -a "$declared" = "$exported" ]
for name in 'trainer::Net::Net(trainer::NetOptions const&)' 'trainer::Solver::train(trainer::TrainCallbacks const&)' 'typeinfo for trainer::Error'; do
  check "exports ${name%%(*}" "it does not" grep -qxF "$name" names
done

# No function of the library is in the program or the plugin a second time.
for file in "$trainer" "$(dirname "$trainer")/libtrainer_cuda.so"; do
  [ -e "$file" ] || continue
  check "$(basename "$file")_links_the_library" "it does not" grep -q 'libtrainer\.so\.0' <(readelf -dW "$file")
  twice=$(comm -12 <(nm --defined-only "$file" 2>/dev/null | sed -n 's/^[0-9a-f]* [TD] //p' | sort) <(sort mangled))
  check "$(basename "$file")_holds_no_copy" "$(c++filt <<<"$twice" | head -n 3)" [ -z "$twice" ]
done
finish
