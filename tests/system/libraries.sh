#!/bin/bash
# Tests the cost of starting the program: the libraries that it loads and their memory.
#
# Most libraries are dependencies of Debian's builds of HDF5 (libcurl, Kerberos, LDAP), oneDNN (OpenCL's loader), OpenBLAS
# (Fortran's runtime), OpenCV's core (GLX, X11, TBB: loaded, never used) and libtiff (five codecs). The limits keep the cost at its present level.
source "$(dirname "${BASH_SOURCE[0]}")/checks.bash"

most_direct=23
most_loaded=78
most_resident_kib=32768
# A training must not load windowing, image or geography suites, MPI, Python or CUDA.
unwanted='opencv_(imgcodecs|highgui|videoio)|gdal|libgtk|libQt|libboost|libmpi|libpython|libcuda|cudnn'

direct=$(readelf -d "$trainer" "$(dirname "$trainer")/libtrainer.so.0" | sed -n 's/.*(NEEDED)//p' | grep -v libtrainer | sort -u | wc -l)
check libraries_linked "$direct libraries are linked, at most $most_direct may be" [ "$direct" -le "$most_direct" ]
loaded=$(ldd "$trainer" | wc -l)
check libraries_loaded "$loaded libraries are loaded, at most $most_loaded may be" [ "$loaded" -le "$most_loaded" ]
found=$(ldd "$trainer" | grep -oE "($unwanted)[^ ]*" | sort -u | tr '\n' ' ')
check libraries_unwanted "$found" [ -z "$found" ]
missing=$(ldd "$trainer" | grep 'not found')
check libraries_found "$missing" [ -z "$missing" ]

# A full pipe blocks the program at its first line of output, so that the test can read its memory.
mkfifo pipe
exec 3<>pipe
head -c 65536 /dev/zero >&3
"$trainer" --version >&3 &
pid=$!
wait_for 10 grep -qs '^State:.S' /proc/$pid/status
sleep 0.3
kib=$(awk '/^VmHWM:/ { print $2 }' /proc/$pid/status)
kill $pid
wait $pid 2>/dev/null
check memory_at_start "${kib:-?} KiB are resident, at most $most_resident_kib may be" \
  [ "${kib:-$most_resident_kib}" -lt "$most_resident_kib" ]
# With a limit below the number of threads requested, the results are those of a single thread.
cat >wide.prototxt <<'NET'
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 32 dim: 600 } shape { dim: 32 } data_filler { type: "gaussian" } data_filler { value: 1 } }
}
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 400 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
NET
first_loss() { env "$@" "$trainer" time --model=wide.prototxt --iterations=1 2>&1 | sed -n 's/.*Initial loss: //p'; }
one=$(first_loss OMP_NUM_THREADS=1) limited=$(first_loss OMP_NUM_THREADS=4 OMP_THREAD_LIMIT=1)
check a_thread_limit_changes_no_number "$one with one thread, $limited with a limit" [ -n "$one" -a "${one:0:5}" = "${limited:0:5}" ]
finish
