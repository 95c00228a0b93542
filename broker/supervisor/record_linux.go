package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// What a worker's folder keeps for the next daemon.
const (
	pidFile    = "pid"         // its process's id and start time, which together are unique
	cgroupFile = "cgroup.json" // cgroupPaths
	recordFile = "lease.json"  // what Assign was given to keep
)

// recordBytesMax bounds a file that is read again; what is written stays far below.
const recordBytesMax = 64 << 10

// writeRecord puts a file into the worker's folder, whole or not at all.
func (p *Process) writeRecord(name string, content []byte) error {
	path := filepath.Join(p.folder, name)
	err := os.WriteFile(path+".new", content, 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("recording worker %s: %w", p.ID, err)
	}
	return nil
}

// readRecord is empty where there is none.
func (p *Process) readRecord(name string) ([]byte, error) {
	path := filepath.Join(p.folder, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > recordBytesMax {
		return nil, fmt.Errorf("%s has %d bytes, may have %d", path, info.Size(), recordBytesMax)
	}
	return os.ReadFile(path)
}

// recordCgroup is called before the group is made, so that it is found again whenever this daemon dies.
func (p *Process) recordCgroup(paths cgroupPaths) error {
	content, err := json.Marshal(paths)
	if err != nil {
		return fmt.Errorf("recording worker %s: %w", p.ID, err)
	}
	return p.writeRecord(cgroupFile, content)
}

// recordedCgroup is nil where there is none, or none any more.
func (p *Process) recordedCgroup() (*cgroup, error) {
	content, err := p.readRecord(cgroupFile)
	if err != nil || content == nil {
		return nil, err
	}
	var paths cgroupPaths
	if err := json.Unmarshal(content, &paths); err != nil {
		return nil, fmt.Errorf("malformed %s: %w", cgroupFile, err)
	}
	return loadCgroup(paths)
}

func (p *Process) recordProcess() error {
	started, err := startTime(p.PID)
	if err != nil {
		return fmt.Errorf("recording worker %s: %w", p.ID, err)
	}
	return p.writeRecord(pidFile, fmt.Appendf(nil, "%d %s\n", p.PID, started))
}

// recordedProcess finds the process that the folder names, if it still is that process; nil otherwise.
func (p *Process) recordedProcess() (*orphan, error) {
	text, err := p.readRecord(pidFile)
	if err != nil || text == nil {
		return nil, err
	}
	var started string
	if _, err := fmt.Sscan(string(text), &p.PID, &started); err != nil || p.PID <= 1 {
		return nil, fmt.Errorf("malformed %s %q", pidFile, text)
	}
	return findOrphan(p.PID, started)
}

// startTime is field 22 of /proc/PID/stat, proc(5): ticks since the machine's start.
func startTime(pid int) (string, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", err
	}
	// The program's name is in parentheses and may hold anything; the fields are counted behind it, from 3.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const startTimeField = 22 - 3
	if len(fields) <= startTimeField {
		return "", fmt.Errorf("process %d: %d fields in its stat file", pid, len(fields))
	}
	return fields[startTimeField], nil
}
