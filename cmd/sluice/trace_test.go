package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/vdev/trace"
)

// tracedLine is a call's line as the shim writes it.
func tracedLine(t *testing.T, rest string) string {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return strings.Replace(rest, "NOW", number(uint64(now.Nano())), 1) + "\n"
}

// A trace is told while it grows, and what in it is no call is left out and counted.
func TestTracerFollows(t *testing.T) {
	output, calls := formatJSON, filepath.Join(t.TempDir(), "calls.json")
	tracer, err := newTracer(traceFlags{calls: calls, output: &output})
	if err != nil {
		t.Fatal(err)
	}
	defer tracer.close()
	if err := tracer.begin(); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() { stopped <- tracer.follow(stop) }()
	write := func(text string) {
		file, err := os.OpenFile(tracer.path, os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = file.WriteString(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
	}
	write(tracedLine(t, "7 8 clFinish 0 NOW 2500 24 4 1 0"))
	await := time.Now().Add(time.Minute)
	for told := ""; !strings.Contains(told, "clFinish"); time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(calls)
		if told = string(text); err != nil || time.Now().After(await) {
			t.Fatalf("the call is not told while the program runs: %q, %v", told, err)
		}
	}
	write("\x1b[2J" + strings.Repeat("x", 1<<20) + "\n" + tracedLine(t, "7 8 clFlush -36 NOW 500 24 0 0 0") + "7 8 half")
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(calls)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var told []trace.Call
	for decoder := json.NewDecoder(file); decoder.More(); {
		var call trace.Call
		if err := decoder.Decode(&call); err != nil {
			t.Fatal(err)
		}
		told = append(told, call)
	}
	if len(told) != 2 || told[0].DurationUS != 2.5 || told[1].Name != "clFlush" || told[1].Status == nil || *told[1].Status != -36 {
		t.Errorf("told %+v", told)
	}
	var summary bytes.Buffer
	if err := tracer.summarize(&summary, output); err == nil || !strings.Contains(err.Error(), "2 lines of the trace") {
		t.Errorf("got %v, want the two lines that are no calls", err)
	}
	var totals []trace.Total
	if err := json.Unmarshal(summary.Bytes(), &totals); err != nil || len(totals) != 2 || totals[0].Waited != 1 || totals[1].Failed != 1 {
		t.Errorf("%v: %s", err, summary.String())
	}
	folder := tracer.folder
	tracer.close()
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("the trace's folder stays: %v", err)
	}
}
