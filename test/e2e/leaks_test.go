package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// namespace is the containerd namespace of these tests.
const namespace = "sluice-e2e"

// leaks lists what is left of a system whose daemon has ended everything; its containerd still runs. Each kind of thing is
// looked for where the kernel or containerd lists it, not where the daemon would.
func (s *system) leaks() []string {
	var left []string
	for _, look := range []func() ([]string, error){
		s.leftProcesses, s.leftCgroups, s.leftMounts, s.leftFolders, s.leftContainers, s.leftShimSockets,
	} {
		found, err := look()
		if err != nil {
			found = append(found, err.Error())
		}
		left = append(left, found...)
	}
	return left
}

// leftProcesses finds workers by the name of their cgroup, containers' shims by their containerd, and plain processes of
// instances by their environment. A zombie, which only its parent can take away, does not count.
func (s *system) leftProcesses() ([]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var left []string
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		read := func(name string) string {
			content, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), name)) // it may end meanwhile
			return strings.ReplaceAll(string(content), "\x00", " ")
		}
		command := read("cmdline")
		ours := strings.Contains(read("cgroup"), s.workerGroup()) ||
			strings.Contains(command, "containerd-shim") && strings.Contains(command, s.containerd) && s.containerd != "" ||
			strings.Contains(read("environ"), "SLUICE_FUNCTION_SOCKET="+s.state())
		if ours && command != "" {
			left = append(left, fmt.Sprintf("process %d: %s", pid, command))
		}
	}
	return left, nil
}

// workerGroup is the name of the cgroup of this daemon's workers.
func (s *system) workerGroup() string {
	sum := sha256.Sum256([]byte(filepath.Join(s.state(), "workers")))
	return "sluice-" + hex.EncodeToString(sum[:4])
}

func (s *system) leftCgroups() ([]string, error) {
	instances, err := s.everyInstance()
	if err != nil {
		return nil, err
	}
	var left []string
	err = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another's, that ended meanwhile
		}
		if err == nil && entry.IsDir() && (strings.HasPrefix(entry.Name(), s.workerGroup()) || slices.Contains(instances, entry.Name())) {
			left = append(left, "cgroup "+path)
		}
		return err
	})
	return left, err
}

// everyInstance lists the ids of all instances that there ever were, by their logs.
func (s *system) everyInstance() ([]string, error) {
	logs, err := filepath.Glob(filepath.Join(s.state(), "logs", "*", "*", "*.log"))
	ids := make([]string, 0, len(logs))
	for _, path := range logs {
		ids = append(ids, strings.TrimSuffix(filepath.Base(path), ".log"))
	}
	return ids, err
}

func (s *system) leftMounts() ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	var left []string
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, s.folder+"/") {
			left = append(left, "mount "+strings.TrimSpace(line))
		}
	}
	return left, err
}

// leftFolders expects of the state folder's folders of workers and instances no entry but the lock and the last inventory.
func (s *system) leftFolders() ([]string, error) {
	var left []string
	for _, folder := range []string{"workers", "functions", "processes"} {
		entries, err := os.ReadDir(filepath.Join(s.state(), folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return left, err
		}
		for _, entry := range entries {
			if name := entry.Name(); name != "lock" && name != "inventory.json" {
				left = append(left, "in the state folder: "+filepath.Join(folder, name))
			}
		}
	}
	return left, nil
}

// leftContainers asks containerd for containers, tasks, leases, and snapshots that are no image's.
func (s *system) leftContainers() ([]string, error) {
	if s.containerd == "" {
		return nil, nil
	}
	var left []string
	for _, list := range []struct {
		kind  string
		quiet bool
	}{{"containers", true}, {"tasks", true}, {"leases", true}, {"snapshots", false}} {
		arguments := []string{"--address", s.containerd, "--namespace", namespace, list.kind, "list"}
		if list.quiet {
			arguments = append(arguments, "--quiet")
		}
		out, err := exec.Command("ctr", arguments...).Output()
		if err != nil {
			return left, fmt.Errorf("ctr %s: %w", list.kind, explain(err))
		}
		for line := range bytes.Lines(out) {
			text := strings.TrimSpace(string(line))
			if text != "" && (list.quiet || strings.HasSuffix(text, "Active") || strings.HasSuffix(text, "View")) {
				left = append(left, "containerd's "+list.kind+": "+text)
			}
		}
	}
	return left, nil
}

// leftShimSockets knows how containerd names a shim's socket: by the hash of its own address, the namespace and the id.
func (s *system) leftShimSockets() ([]string, error) {
	instances, err := s.everyInstance()
	var left []string
	for _, id := range instances {
		sum := sha256.Sum256([]byte(filepath.Join(s.containerd, namespace, id)))
		path := filepath.Join("/run/containerd/s", hex.EncodeToString(sum[:]))
		if _, err := os.Lstat(path); err == nil {
			left = append(left, fmt.Sprintf("socket of %s's shim: %s", id, path))
		}
	}
	return left, err
}
