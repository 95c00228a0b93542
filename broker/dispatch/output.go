package dispatch

// #include "driver.h"
// #include <stdio.h>
// static void flush_output(void) { fflush(stdout); }
import "C"

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/vdev/wire"
)

// Output is what kernels print. The driver prints to the process's standard
// output, as it would in the program's own process.
type Output struct {
	mutex sync.Mutex
	file  *os.File
	taken int64
}

// TakeOutput makes the process's standard output a memory file, of which each
// byte is told once.
func TakeOutput() (*Output, error) {
	fd, err := unix.MemfdCreate("sluice-output", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a file for what kernels print: %w", err)
	}
	o := &Output{file: os.NewFile(uintptr(fd), "output")}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_APPEND); err != nil {
		return nil, fmt.Errorf("making a file for what kernels print: %w", err)
	}
	if err := unix.Dup3(fd, 1, 0); err != nil {
		return nil, fmt.Errorf("taking standard output: %w", err)
	}
	return o, nil
}

// waiting says whether there is something to tell.
func (o *Output) waiting() bool {
	C.flush_output()
	o.mutex.Lock()
	defer o.mutex.Unlock()
	var stat unix.Stat_t
	return unix.Fstat(int(o.file.Fd()), &stat) == nil && stat.Size > o.taken
}

// take reads at most len(b) bytes and gives their memory back.
func (o *Output) take(b []byte) int {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	n, _ := o.file.ReadAt(b, o.taken)
	_ = unix.Fallocate(int(o.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, o.taken, int64(n))
	o.taken += int64(n)
	return n
}

// watchOutput notes whether a program may print: one whose text has no printf in
// it costs no look at the output.
func (s *Session) watchOutput(text []byte) {
	if s.lease.limits.Output != nil && bytes.Contains(text, []byte("printf")) {
		s.prints.Store(true)
	}
}

// announceOutput tells the shim that there is something to print.
func (s *Session) announceOutput() {
	if s.prints.Load() && s.lease.limits.Output.waiting() {
		atomic.StoreUint32(word32(s.shared.bytes, wire.WordOutput), 1)
	}
}

func (t *thread) output() C.cl_int {
	if o := t.session.lease.limits.Output; o != nil {
		text := make([]byte, wire.SlotPayload)
		t.reply = append(t.reply, text[:o.take(text)]...)
	}
	return C.CL_SUCCESS
}
