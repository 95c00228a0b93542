package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sluice/broker/client"
	"sluice/vdev/trace"
)

const (
	// How often the calls of a program that runs are printed, and how many bytes of its trace at once at most.
	traceInterval = 50 * time.Millisecond
	traceChunk    = 8 << 20
)

type traceFlags struct {
	run     runFlags
	calls   string
	summary bool
	output  *string
}

func newTraceCommand(g *globals) *cobra.Command {
	var flags traceFlags
	command := &cobra.Command{
		Use:   "trace [--memory 1Gi] [--summary] [--calls FILE] -- PROGRAM [ARGUMENTS]",
		Short: "Run an OpenCL program as `sluice run` does, and tell what its calls took",
		Long: "Runs the program as `sluice run` does. Each OpenCL call that it makes is told on standard error when it returns, and\n" +
			"at the end what all calls of a name took. Standard input and output and the exit code are the program's.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return traceProgram(cmd.Context(), g, flags, args)
		},
	}
	addRunFlags(command, &flags.run)
	command.Flags().StringVar(&flags.calls, "calls", "", "write the calls to this file, as lines of JSON, instead of to standard error")
	command.Flags().BoolVar(&flags.summary, "summary", false, "print the summary alone; so do -o json and -o yaml")
	flags.output = addOutputFlag(command)
	return command
}

func traceProgram(ctx context.Context, g *globals, flags traceFlags, args []string) error {
	request, err := runRequest(g, flags.run)
	if err != nil {
		return err
	}
	t, err := newTracer(flags)
	if err != nil {
		return err
	}
	defer t.close()
	// Who reads standard error may leave; the program and its lease are to end in order all the same.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	err = withBroker(ctx, g, func(ctx context.Context, broker *client.Client) error {
		return runLeased(ctx, g, broker, request, func(environment map[string]string) (int, error) {
			return t.run(args, environment)
		})
	})
	if t.reader == nil {
		return err // the program was not run
	}
	if err := errors.Join(t.failure, t.summarize(os.Stderr, *flags.output)); err != nil {
		fmt.Fprintln(os.Stderr, "sluice:", err)
	}
	return err
}

// tracer follows the file into which a program's processes write their calls.
type tracer struct {
	folder, path string // a folder of its own, and the file in it
	file         *os.File
	reader       *trace.Reader // nil until the program starts
	failure      error         // why not all of the trace was read
	total        trace.Summary
	header       string        // of the single calls, until it is written
	calls        *bufio.Writer // nil: the single calls are not told
	print        func(io.Writer, trace.Call)
	closers      []io.Closer
}

func newTracer(flags traceFlags) (t *tracer, err error) {
	t = &tracer{}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	switch {
	case flags.calls != "":
		file, err := os.Create(flags.calls)
		if err != nil {
			return t, err
		}
		t.calls, t.print, t.closers = bufio.NewWriter(file), printCallJSON, append(t.closers, file)
	case !flags.summary && *flags.output == formatTable:
		t.calls, t.print, t.header = bufio.NewWriter(os.Stderr), printCall, callHeader()
	}
	temporary, err := filepath.Abs(os.TempDir())
	if err != nil {
		return t, err
	}
	if t.folder, err = os.MkdirTemp(temporary, "sluice-trace-"); err != nil {
		return t, err
	}
	t.path = filepath.Join(t.folder, "calls")
	if t.file, err = os.OpenFile(t.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return t, err
	}
	t.closers = append(t.closers, t.file)
	return t, nil
}

// begin begins to count time.
func (t *tracer) begin() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	t.reader = trace.NewReader(t.file, uint64(now.Nano()))
	return nil
}

// run runs the program, and follows its trace meanwhile.
func (t *tracer) run(args []string, environment map[string]string) (int, error) {
	if err := t.begin(); err != nil {
		return exitNotRun, err
	}
	environment[trace.Variable] = t.path
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() { stopped <- t.follow(stop) }()
	code, err := runProgram(args, environment)
	close(stop)
	t.failure = <-stopped
	return code, err
}

func (t *tracer) close() {
	for _, closer := range t.closers {
		_ = closer.Close()
	}
	if t.folder != "" {
		_ = os.RemoveAll(t.folder)
	}
}

// follow takes the calls that are written until stop is closed, and then those that are there: a process that the program has
// left behind may go on.
func (t *tracer) follow(stop <-chan struct{}) error {
	ticker := time.NewTicker(traceInterval)
	defer ticker.Stop()
	var done, end int64
	for ending := false; ; {
		n, err := t.reader.Read(traceChunk, t.take)
		if err == nil && t.calls != nil {
			err = t.calls.Flush()
		}
		if done += n; err != nil || ending && (n == 0 || done >= end) {
			return err
		}
		// What is read needs no room any more; where the file system cannot give it back, it keeps it.
		_ = unix.Fallocate(int(t.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, done)
		if ending {
			continue
		}
		select {
		case <-stop:
			info, err := t.file.Stat()
			if err != nil {
				return err
			}
			ending, end = true, info.Size()
		case <-ticker.C:
		}
	}
}

func (t *tracer) take(call trace.Call) {
	t.total.Add(call)
	if t.calls != nil {
		_, _ = t.calls.WriteString(t.header)
		t.header = ""
		t.print(t.calls, call)
	}
}

// summarize prints what all calls took, and what of the trace could not be read.
func (t *tracer) summarize(w io.Writer, format string) error {
	totals := t.total.Totals()
	var rows [][]string
	for _, total := range totals {
		rows = append(rows, []string{
			total.Name, number(total.Count), fmt.Sprintf("%.3f", total.TotalUS/1000),
			fmt.Sprintf("%.1f", total.MeanUS), fmt.Sprintf("%.1f", total.MaxUS),
			number(total.SentBytes), number(total.ReceivedBytes), number(total.Waited), number(total.Failed),
		})
	}
	err := printList(w, format, totals, "CALL COUNT TOTAL-MS MEAN-US MAX-US SENT RECEIVED WAITED FAILED", rows)
	if rejected, why := t.reader.Rejected(); rejected > 0 {
		err = errors.Join(err, fmt.Errorf("%d lines of the trace were left out: %w", rejected, why))
	}
	return err
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

func callHeader() string {
	return fmt.Sprintf("%12s %8s  %-36s %11s %10s %10s %5s %5s %6s\n",
		"BEGIN-US", "THREAD", "CALL", "US", "SENT", "RECEIVED", "WAITS", "WAKES", "STATUS")
}

// printCall writes a call for people. An error in w shows when it is flushed.
func printCall(w io.Writer, call trace.Call) {
	status := "-"
	if call.Status != nil {
		status = strconv.Itoa(int(*call.Status))
	}
	fmt.Fprintf(w, "%12.3f %8d  %-36s %11.3f %10d %10d %5d %5d %6s\n",
		call.BeginUS, call.Thread, call.Name, call.DurationUS, call.SentBytes, call.ReceivedBytes, call.Waits, call.Wakes, status)
}

// printCallJSON writes a call as a line of JSON.
func printCallJSON(w io.Writer, call trace.Call) {
	_ = json.NewEncoder(w).Encode(call) // numbers and a known name: only the writing can fail, which shows when it is flushed
}
