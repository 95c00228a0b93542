package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// progressAfter is how long a command may take without a word.
	progressAfter = time.Second
	// On a terminal one line is written over and over; elsewhere, a log perhaps, a line now and then.
	progressIntervalTerminal = 200 * time.Millisecond
	progressIntervalPlain    = 10 * time.Second

	clearLine = "\r\x1b[K"
)

// showProgress says on w what a command is waiting for, from its second second on, until stop is called. text is called from
// one goroutine, which is gone when stop returns.
func showProgress(w io.Writer, text func(took time.Duration) string) (stop func()) {
	began := time.Now()
	interval, before, after := progressIntervalPlain, "", "\n"
	if isTerminal(w) {
		interval, before, after = progressIntervalTerminal, clearLine, ""
	}
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		timer := time.NewTimer(progressAfter)
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-timer.C:
			}
			fmt.Fprint(w, before, text(time.Since(began).Truncate(time.Second)), after)
			timer.Reset(interval)
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		ended.Wait()
		fmt.Fprint(w, before)
	})
}

func isTerminal(w any) bool {
	file, isFile := w.(*os.File)
	if !isFile {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// formatShare writes "3Mi of 12Mi".
func formatShare(done, total int64) string {
	return formatBytes(uint64(max(done, 0))) + " of " + formatBytes(uint64(max(total, 0)))
}
