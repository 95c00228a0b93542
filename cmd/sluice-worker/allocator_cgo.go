package main

// The driver allocates with what stands before the C library in the order of lookup. PoCL 3.1 allocates a dozen blocks for
// each command and frees them in other threads, which takes the C library's allocator half of an empty kernel's time.

// #cgo LDFLAGS: -Wl,--no-as-needed -l:libmimalloc.so.2
import "C"
