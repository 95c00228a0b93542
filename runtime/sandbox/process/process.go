// Package process runs Instances as plain processes, for a developer's machine: no root and no containerd needed, and
// nothing is isolated. A program sees the host's files, network and devices, and no limit of its Spec is enforced.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"sluice/runtime/inject"
	"sluice/runtime/sandbox"
)

// recordBytesMax bounds a record file; a Spec's limits keep the real ones far below.
const recordBytesMax = 64 << 10

// Sandbox implements sandbox.Sandbox. Each Instance has a small file in the records folder, by which List finds it again.
type Sandbox struct {
	records string
	folder  inject.Folder
	log     *slog.Logger

	mu        sync.Mutex
	instances map[string]*instance // those that this Sandbox made or attached to
}

// New returns a Sandbox that keeps its records in a folder of its own, which it makes.
func New(records string, folder inject.Folder, log *slog.Logger) (*Sandbox, error) {
	if err := os.MkdirAll(records, 0o700); err != nil {
		return nil, fmt.Errorf("make records folder: %w", err)
	}
	log.Warn("functions run as plain processes: NOTHING ISOLATES THEM from this machine or from each other, and no limit is enforced")
	return &Sandbox{records: records, folder: folder, log: log, instances: make(map[string]*instance)}, nil
}

// Create checks the Spec and writes the record; the process itself begins with Start.
func (s *Sandbox) Create(_ context.Context, spec sandbox.Spec) (sandbox.Instance, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if len(spec.Command) == 0 {
		return nil, fmt.Errorf("%w: command is empty, and a process sandbox has no image to take one from", sandbox.ErrInvalid)
	}
	if info, err := os.Stat(spec.FunctionDir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%w: function folder %s does not exist", sandbox.ErrInvalid, spec.FunctionDir)
	}
	program, err := lookProgram(spec.Command[0], spec.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sandbox.ErrProgram, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := s.recordPath(spec.ID)
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%w: %s", sandbox.ErrExists, spec.ID)
	}
	made := newInstance(s, record{Identity: spec.Identity(), Port: spec.Port})
	made.command = &exec.Cmd{Path: program, Args: spec.Command, Dir: spec.Dir, Env: s.environment(spec)}
	if err := made.record.write(path); err != nil {
		return nil, err
	}
	if spec.CPUMilli != 0 || spec.MemoryBytes != 0 {
		s.log.Warn("limits of a plain process are not enforced", "instance", spec.ID, "cpu_milli", spec.CPUMilli, "memory_bytes", spec.MemoryBytes)
	}
	s.instances[spec.ID] = made
	return made, nil
}

// List reads the records; unreadable ones are reported and left out.
func (s *Sandbox) List(context.Context) ([]sandbox.Instance, error) {
	entries, err := os.ReadDir(s.records)
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []sandbox.Instance{}
	for _, entry := range entries { // sorted by name, thus by id
		id, isRecord := strings.CutSuffix(entry.Name(), recordSuffix)
		if !isRecord {
			continue
		}
		if known := s.instances[id]; known != nil {
			found = append(found, known)
			continue
		}
		stored, err := readRecord(s.recordPath(id))
		if err != nil || stored.ID != id {
			s.log.Warn("record of an instance is not readable", "instance", id, "error", err)
			continue
		}
		adopted := newInstance(s, stored)
		adopted.adopt()
		s.instances[id] = adopted
		found = append(found, adopted)
	}
	return found, nil
}

func (s *Sandbox) forget(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.instances, id)
	if err := os.Remove(s.recordPath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete record of %s: %w", id, err)
	}
	return nil
}

// environment is small and known: the daemon's own variables may hold secrets.
func (s *Sandbox) environment(spec sandbox.Spec) []string {
	env := map[string]string{"PATH": os.Getenv("PATH"), "HOME": spec.FunctionDir}
	maps.Copy(env, spec.Env)
	maps.Copy(env, spec.InstanceEnv(spec.FunctionDir))
	maps.Copy(env, s.folder.Process(spec.Lease))
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

func (s *Sandbox) recordPath(id string) string { return filepath.Join(s.records, id+recordSuffix) }

// lookProgram finds a program as a shell would, relative to the folder it will run in.
func lookProgram(name, dir string) (string, error) {
	if strings.ContainsRune(name, '/') && !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

const recordSuffix = ".json"

// record is what outlives the daemon. A process id is told from a later one of the same number by its start time.
type record struct {
	sandbox.Identity
	Port       int    `json:"port,omitempty"`
	PID        int    `json:"pid,omitempty"`
	StartTicks uint64 `json:"start_ticks,omitempty"` // field 22 of proc_pid_stat(5)
}

func readRecord(path string) (record, error) {
	info, err := os.Stat(path)
	if err != nil {
		return record{}, err
	}
	if info.Size() > recordBytesMax {
		return record{}, fmt.Errorf("%s has %d bytes, may have %d", path, info.Size(), recordBytesMax)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return record{}, err
	}
	var stored record
	if err := json.Unmarshal(content, &stored); err != nil {
		return record{}, fmt.Errorf("parse %s: %w", path, err)
	}
	return stored, nil
}

func (r record) write(path string) error {
	content, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(path+".new", content, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("write record of %s: %w", r.ID, err)
	}
	return nil
}
