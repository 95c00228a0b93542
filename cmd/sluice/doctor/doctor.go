// Package doctor examines a host: what of all that a daemon needs is missing, and which command mends it. It looks and tries;
// it changes nothing that stays.
package doctor

import (
	"context"
)

// Status is the outcome of one check.
type Status string

// The outcomes. A daemon may start with a warning; with something missing it does not, or it cannot do its work.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Missing Status = "missing"
)

// Finding is what one check found.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // a command, or what to change; empty where nothing need be done
}

// Host is how the daemon is to run here.
type Host struct {
	StateFolder       string // absolute
	Containers        bool   // functions run in containers, not as plain processes
	ContainerdAddress string // path of its socket
	WorkerPath        string // of sluice-worker
	ShimPath          string // of libsluice-opencl.so
	Running           bool   // a daemon answers already
	Addresses         []string
}

type check struct {
	name string
	run  func(context.Context, Host) Finding
}

// checks are in the order in which an operator mends things.
var checks = []check{
	{"user", checkUser},
	{"kernel", checkKernel},
	{"namespaces", checkNamespaces},
	{"cgroups", checkCgroups},
	{"sysfs", checkSysfs},
	{"programs", checkPrograms},
	{"devices", checkDevices},
	{"nvidia", checkNVIDIA},
	{"containerd", checkContainerd},
	{"runc", checkRunc},
	{"overlayfs", checkOverlayfs},
	{"sockets", checkSockets},
	{"disk", checkDisk},
	{"files", checkFiles},
	{"addresses", checkAddresses},
}

// Examine makes every check, in order.
func Examine(ctx context.Context, host Host) []Finding {
	var findings []Finding
	for _, c := range checks {
		finding := c.run(ctx, host)
		finding.Check = c.name
		findings = append(findings, finding)
	}
	return findings
}

func ok(detail string) Finding { return Finding{Status: OK, Detail: detail} }

func warning(detail, fix string) Finding { return Finding{Status: Warning, Detail: detail, Fix: fix} }

func missing(detail, fix string) Finding { return Finding{Status: Missing, Detail: detail, Fix: fix} }
