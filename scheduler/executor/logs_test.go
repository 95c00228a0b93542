package executor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestMakeLogRoomKeepsTheNewest(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "tenant", "function")
	if err := makeLogRoom(folder); err != nil {
		t.Fatal(err)
	}
	for age := range logFilesMax + 3 {
		path := filepath.Join(folder, fmt.Sprint(age, logSuffix))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		written := time.Now().Add(-time.Duration(age) * time.Minute)
		if err := os.Chtimes(path, written, written); err != nil {
			t.Fatal(err)
		}
	}
	if err := makeLogRoom(folder); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != logFilesMax-1 {
		t.Fatalf("%d logs are left, %v; want room for one of %d", len(left), err, logFilesMax)
	}
	for age := range logFilesMax - 1 {
		if _, err := os.Stat(filepath.Join(folder, fmt.Sprint(age, logSuffix))); err != nil {
			t.Fatalf("a new log was deleted: %v", err)
		}
	}
}

func TestLogTailIsBoundedAndPrintable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if tail := logTail(path); tail != "" {
		t.Errorf("without a log: %q", tail)
	}
	for text, wanted := range map[string]string{
		"":                            "",
		"\n\n":                        "",
		"one":                         "one",
		"1\n2\r\n3\n4\n5\n6\n":        "2  | 3 | 4 | 5 | 6",
		"bad \xff\x00\x1b[2J\x7f end": "bad ?  [2J  end",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if tail := logTail(path); tail != wanted {
			t.Errorf("%q gives %q, want %q", text, tail, wanted)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("ü", 1<<20)+"end"), 0o600); err != nil {
		t.Fatal(err)
	}
	if tail := logTail(path); len(tail) > logTailBytes+1 || !strings.HasSuffix(tail, "üend") || !utf8.ValidString(tail) {
		t.Errorf("a long line gives %d bytes, valid %v", len(tail), utf8.ValidString(tail))
	}
}
