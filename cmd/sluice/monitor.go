package main

import (
	"fmt"
	"os"
	"strconv"
)

// monitorSlackNs is by how many nanoseconds the kernel may be late to wake the Go runtime's monitor. It looks every 20 us whether a
// thread is held up in a system call, as long as any thread is busy: with one request at a time that is an eighth of what
// the daemon costs. Looks come often enough so; the timers of requests are other threads'.
const monitorSlackNs = 500_000

// slackenMonitor gives the monitor its slack, where this process may: it needs CAP_SYS_NICE.
func slackenMonitor() error {
	thread, err := monitorThread()
	if err != nil {
		return err
	}
	// As proc(5) says, this file is there for threads too, below their own numbers.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", thread), []byte(strconv.Itoa(monitorSlackNs)), 0); err != nil {
		return fmt.Errorf("giving the runtime's monitor slack: %w", err)
	}
	return nil
}

// monitorThread is the first thread that the runtime makes beside the process's own (runtime.main), so the next by number: numbers
// rise, and begin again from small ones.
func monitorThread() (int, error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, fmt.Errorf("looking for the runtime's monitor: %w", err)
	}
	const numbers = 1 << 22 // PID_MAX_LIMIT of Linux on 64 bits
	own, next, nearest := os.Getpid(), 0, numbers
	for _, thread := range threads {
		number, err := strconv.Atoi(thread.Name())
		if err != nil {
			return 0, fmt.Errorf("looking for the runtime's monitor: %w", err)
		}
		if distance := (number - own + numbers) % numbers; distance > 0 && distance < nearest {
			next, nearest = number, distance
		}
	}
	if next == 0 {
		return 0, fmt.Errorf("looking for the runtime's monitor: there is one thread")
	}
	return next, nil
}
