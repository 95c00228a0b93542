package executor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/store"
)

// How much of a program's log goes into the reason of its failure.
const (
	logTailBytes = 2048
	logTailLines = 5
)

const logSuffix = ".log"

// logFilesMax is how many logs are kept of a function, those of its present Instances included.
const logFilesMax = 2 * store.MaxScale

// makeLogRoom makes a function's log folder, or deletes the oldest logs in it so that another one can come.
func makeLogRoom(folder string) error {
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return fmt.Errorf("make folder of logs: %w", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("list logs: %w", err)
	}
	if len(entries) < logFilesMax {
		return nil
	}
	written := make(map[string]time.Time, len(entries))
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil { // else it is gone
			written[entry.Name()] = info.ModTime()
		}
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return written[a.Name()].Compare(written[b.Name()]) })
	for _, entry := range entries[:len(entries)-logFilesMax+1] {
		if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete an old log: %w", err)
		}
	}
	return nil
}

// logTail gives the last lines that a program wrote, as one line of printable text; empty if there are none.
func logTail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return ""
	}
	tail := make([]byte, min(size, logTailBytes))
	if _, err := file.ReadAt(tail, size-int64(len(tail))); err != nil {
		return ""
	}
	printable := strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r == 0x7f) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(tail), "?"))
	lines := strings.FieldsFunc(printable, func(r rune) bool { return r == '\n' })
	if len(lines) > logTailLines {
		lines = lines[len(lines)-logTailLines:]
	}
	return strings.TrimSpace(strings.Join(lines, " | "))
}
