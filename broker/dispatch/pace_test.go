package dispatch

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPace(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	var p pace
	var pipelined, other burst
	send := func(b *burst, frames int, waited bool) {
		t.Helper()
		for range frames {
			if err := p.frame(b, false); err != nil {
				t.Fatal(err)
			}
		}
		if waited {
			if err := p.frame(b, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	is := func(policy uint32, when string) {
		t.Helper()
		attributes, err := unix.SchedGetAttr(0, 0)
		if err != nil || attributes.Policy != policy {
			t.Errorf("%s: %+v, %v; want policy %d", when, attributes, err, policy)
		}
	}
	send(&pipelined, burstLong-1, false)
	is(unix.SCHED_NORMAL, "one frame before a long burst")
	send(&pipelined, 1, false)
	is(unix.SCHED_BATCH, "in a long burst")
	send(&pipelined, burstShort, true)
	send(&pipelined, burstShort, true)
	is(unix.SCHED_BATCH, "after waits behind bursts that are not short")
	send(&other, 1, true)
	is(unix.SCHED_NORMAL, "after another session's wait behind a short burst")
	send(&pipelined, burstLong, true)
	is(unix.SCHED_NORMAL, "in a long burst beside another session's wait")
	send(&pipelined, burstLong, true)
	is(unix.SCHED_BATCH, "in a long burst after that")
	send(&pipelined, 0, true)
	is(unix.SCHED_NORMAL, "at the end")
	if after, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != nil || after != nice {
		t.Errorf("the nice value is %d, %v; it was %d", after, err, nice)
	}
}
