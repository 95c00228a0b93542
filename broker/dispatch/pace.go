package dispatch

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// timerSlack is Linux's default, in ns: prctl(2), PR_SET_TIMERSLACK.
const timerSlack = 50_000

// ExactTimers has the calling thread, and those that a driver makes in it, woken
// in time from sleeps with a limit. The caller is locked to its thread.
func ExactTimers() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0) // fails on no Linux that has it
}

// Bounds of a burst, in frames between two that somebody waits for.
const (
	burstLong  = 256
	burstShort = 16
)

// pace is how this process's threads, the driver's among them, ask the kernel
// for a core. While programs wait for answers, a thread that is woken comes at
// once. In a long burst they are batch threads, sched(7): where all cores are
// taken, each command would otherwise stop the program that sends it for the
// thread that carries it out, and that one for the driver's.
type pace struct {
	waits atomic.Uint64 // short bursts that have ended, of all Sessions
	batch atomic.Bool
	mutex sync.Mutex
}

// burst is the frames of a Session since somebody waited for one. The leader
// alone uses it.
type burst struct {
	frames uint64
	waits  uint64 // as many as there were in the Lease when it began
}

// frame counts a frame of the burst.
func (p *pace) frame(b *burst, waited bool) error {
	if waited {
		short := b.frames < burstShort
		if short {
			p.waits.Add(1)
		}
		*b = burst{waits: p.waits.Load()}
		if short {
			return p.set(false)
		}
		return nil
	}
	b.frames++
	if b.frames == burstLong && b.waits == p.waits.Load() {
		return p.set(true)
	}
	return nil
}

// set makes all threads batch threads, or ordinary ones. Threads that are born
// later are like the one that makes them.
func (p *pace) set(batch bool) error {
	if p.batch.Load() == batch {
		return nil
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.batch.Swap(batch) == batch {
		return nil
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("listing threads: %w", err)
	}
	policy := unix.SCHED_NORMAL
	if batch {
		policy = unix.SCHED_BATCH
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return fmt.Errorf("listing threads: %w", err)
		}
		if err := setPolicy(id, policy); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("changing the policy of thread %d: %w", id, err)
		}
	}
	return nil
}

// setPolicy keeps the thread's nice value, as sched_setattr(2) does not.
func setPolicy(thread, policy int) error {
	var priority int32
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(thread), uintptr(policy), uintptr(unsafe.Pointer(&priority)))
	if errno != 0 {
		return errno
	}
	return nil
}
