// Package report is what a program can see of the sandbox that it runs in.
package report

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// EnvReady names the variable with the socket to which the probe connects once it does what it was asked.
const EnvReady = "PROBE_READY"

// Report is printed by the probe as one line of JSON.
type Report struct {
	Args        []string
	Env         []string
	UID, GID    int
	Groups      []int
	Status      map[string]string // of /proc/self/status
	Devices     []string          // device nodes anywhere in the file system but /proc and /sys
	Interfaces  []string          // name and flags
	Mounts      map[string]string // of /proc/self/mounts: mount point to its options
	Files       []string          // everything in /run and /etc/OpenCL
	RootError   string            // of making a file in /
	TmpError    string            // of making a file in /tmp
	DialError   string            // of connecting to an address outside
	MknodError  string            // of making a device node in /tmp
	UnshareNote string            // of making a user namespace
}

// Make looks around.
func Make() Report {
	report := Report{
		Args: os.Args, Env: os.Environ(), UID: os.Getuid(), GID: os.Getgid(),
		Status: status(), Mounts: mounts(), Devices: devices("/"), Files: append(files("/run"), files("/etc/OpenCL")...),
		RootError: try(os.WriteFile("/probe", nil, 0o600)), TmpError: try(os.WriteFile("/tmp/probe", nil, 0o600)),
		MknodError: try(makeNode("/tmp/node")), UnshareNote: try(makeUserNamespace()),
	}
	report.Groups, _ = os.Getgroups()
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		report.Interfaces = append(report.Interfaces, i.Name+" "+i.Flags.String())
	}
	_, err := net.Dial("tcp4", "192.0.2.1:80")
	report.DialError = try(err)
	return report
}

func try(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func status() map[string]string {
	found := make(map[string]string)
	eachLine("/proc/self/status", func(line string) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			found[name] = strings.TrimSpace(value)
		}
	})
	return found
}

func mounts() map[string]string {
	found := make(map[string]string)
	eachLine("/proc/self/mounts", func(line string) {
		if fields := strings.Fields(line); len(fields) >= 4 {
			found[fields[1]] = fields[2] + " " + fields[3]
		}
	})
	return found
}

func eachLine(path string, do func(string)) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		do(scanner.Text())
	}
}

func devices(root string) []string {
	var found []string
	_ = filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if slices.Contains([]string{"/proc", "/sys"}, path) {
			return filepath.SkipDir
		}
		if entry.Type()&os.ModeDevice != 0 {
			found = append(found, path)
		}
		return nil
	})
	return found
}

func files(root string) []string {
	var found []string
	_ = filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			found = append(found, path)
		}
		return nil
	})
	return found
}
