package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMonitorHasSlack looks which thread it is by what it does while another is busy: no other thread of the runtime sleeps for a
// time of its own.
func TestMonitorHasSlack(t *testing.T) {
	thread, err := monitorThread()
	if err != nil {
		t.Fatal(err)
	}
	folder := fmt.Sprintf("/proc/%d/", thread)
	before, err := os.ReadFile(folder + "timerslack_ns")
	if err != nil {
		t.Fatal(err)
	}
	if err := slackenMonitor(); err != nil {
		if os.Geteuid() != 0 {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	defer func() { _ = os.WriteFile(folder+"timerslack_ns", before, 0) }()
	if slack, err := os.ReadFile(folder + "timerslack_ns"); err != nil || strings.TrimSpace(string(slack)) != fmt.Sprint(monitorSlackNs) {
		t.Errorf("the slack is %q, %v", slack, err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		waits, err := os.ReadFile(folder + "wchan")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(waits), "nanosleep") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("thread %d is at %s; the monitor would sleep", thread, waits)
		}
	}
}
