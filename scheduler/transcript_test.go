package scheduler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"sluice/broker/device"
	"sluice/scheduler"
	"sluice/store"
)

var origin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// transcript drives one Scheduler. Every command but status takes at=DURATION, which sets the clock.
//
//	node name=N cpu=1000m memory=1Gi devices=(d0:1Gi,d1:512Mi) reserved=(d0:256Mi) adopted=(I:F:d0:256Mi,J:G)
//	deploy F [cpu= memory= device=256Mi compute= batch= concurrency= min= max= idle=]
//	tenant [instances=] [slices=256Mi] [disabled]
//	remove F | demand F queued= in-flight= | ready I | failed I reason= [lasting] | stopped I | tick
type transcript struct {
	scheduler *scheduler.Scheduler
	now       time.Time
}

func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		run := &transcript{scheduler: scheduler.New("e"), now: origin}
		datadriven.RunTest(t, path, run.command)
	})
}

func (r *transcript) command(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "status" {
		return r.status()
	}
	if at := text(t, d, "at", ""); at != "" {
		offset, err := time.ParseDuration(at)
		if err != nil || origin.Add(offset).Before(r.now) {
			d.Fatalf(t, "bad time %q: %v", at, err)
		}
		r.now = origin.Add(offset)
	}
	var out strings.Builder
	for _, decision := range r.scheduler.Step(r.now, r.event(t, d)) {
		switch decision := decision.(type) {
		case scheduler.Place:
			fmt.Fprintf(&out, "place %s on %s", decision.Instance, decision.Node)
			for i, slice := range decision.Slices {
				word := "with"
				if i > 0 {
					word = "and"
				}
				fmt.Fprintf(&out, " %s %dMi and %d of %s", word, slice.MemoryBytes>>20, slice.ComputeMilli, slice.DeviceID)
			}
			out.WriteString("\n")
		case scheduler.Stop:
			fmt.Fprintf(&out, "stop %s: %s\n", decision.Instance, decision.Reason)
		case scheduler.Refuse:
			fmt.Fprintf(&out, "refuse %s: %s\n", decision.Key, decision.Reason)
		}
	}
	if next, due := r.scheduler.Next(); due {
		fmt.Fprintf(&out, "tick due at %s\n", next.Sub(origin))
	}
	return out.String()
}

func (r *transcript) event(t *testing.T, d *datadriven.TestData) scheduler.Event {
	name := ""
	if len(d.CmdArgs) > 0 && len(d.CmdArgs[0].Vals) == 0 {
		name = d.CmdArgs[0].Key
	}
	key := scheduler.Key{Tenant: "default", Function: name, Version: "1"}
	switch d.Cmd {
	case "node":
		return scheduler.NodeChanged{Node: nodeOf(t, d), Adopted: adoptedOf(t, d)}
	case "deploy":
		return scheduler.Deployed{Version: versionOf(t, d, name)}
	case "remove":
		return scheduler.Removed{Key: key}
	case "demand":
		return scheduler.DemandChanged{Key: key, Queued: number(t, d, "queued", 0), InFlight: number(t, d, "in-flight", 0)}
	case "ready":
		return scheduler.InstanceReady{Instance: name}
	case "failed":
		return scheduler.InstanceFailed{Instance: name, Reason: text(t, d, "reason", "it broke"), Lasting: d.HasArg("lasting")}
	case "stopped":
		return scheduler.InstanceStopped{Instance: name}
	case "tenant":
		return scheduler.TenantChanged{Tenant: store.Tenant{Name: "default", Disabled: d.HasArg("disabled"), Limits: store.TenantLimits{
			Instances: number(t, d, "instances", 0), SliceMemoryBytes: memory(t, d, text(t, d, "slices", "0")),
		}}}
	case "tick":
		return scheduler.Tick{}
	}
	d.Fatalf(t, "unknown command %q", d.Cmd)
	return nil
}

func (r *transcript) status() string {
	var out strings.Builder
	for _, s := range r.scheduler.Status() {
		fmt.Fprintf(&out, "%s: queued %d, in flight %d; starting %d, ready %d, stopping %d\n",
			s.Key, s.Queued, s.InFlight, s.Starting, s.Ready, s.Stopping)
		if s.Waiting != "" {
			fmt.Fprintf(&out, "  waits: %s\n", s.Waiting)
		}
		if s.Failure != "" {
			fmt.Fprintf(&out, "  failed at %s: %s\n", s.FailedAt.Sub(origin), s.Failure)
		}
	}
	return out.String()
}

func versionOf(t *testing.T, d *datadriven.TestData, name string) store.Version {
	idle, err := time.ParseDuration(text(t, d, "idle", "60s"))
	if err != nil {
		d.Fatalf(t, "idle: %v", err)
	}
	cpu, err := store.ParseCPU(text(t, d, "cpu", "500m"))
	if err != nil {
		d.Fatalf(t, "cpu: %v", err)
	}
	spec := store.FunctionSpec{
		Name:        name,
		Resources:   store.Resources{CPUMilli: cpu, MemoryBytes: memory(t, d, text(t, d, "memory", "128Mi"))},
		Batch:       store.Batch{MaxSize: number(t, d, "batch", 1)},
		Scale:       store.Scale{Min: number(t, d, "min", 0), Max: number(t, d, "max", 1), Idle: idle},
		Concurrency: number(t, d, "concurrency", 1),
	}
	if size := text(t, d, "device", ""); size != "" {
		spec.Device = &store.DeviceRequest{API: device.APIOpenCL, MemoryBytes: memory(t, d, size), ComputeMilli: number(t, d, "compute", 0), Count: number(t, d, "count", 0)}
	}
	return store.Version{Tenant: "default", Function: name, Number: "1", Spec: spec}
}

func nodeOf(t *testing.T, d *datadriven.TestData) scheduler.Node {
	cpu, err := store.ParseCPU(text(t, d, "cpu", "8"))
	if err != nil {
		d.Fatalf(t, "cpu: %v", err)
	}
	node := scheduler.Node{Name: text(t, d, "name", "n"), CPUMilli: cpu, MemoryBytes: memory(t, d, text(t, d, "memory", "8Gi"))}
	reserved := make(map[string]uint64)
	for _, pair := range list(d, "reserved") {
		id, size, _ := strings.Cut(pair, ":")
		reserved[id] = memory(t, d, size)
	}
	for _, pair := range list(d, "devices") { // one whose id ends in ' is of another driver
		id, size, _ := strings.Cut(pair, ":")
		node.Devices = append(node.Devices, scheduler.Device{
			Device: device.Device{
				ID: id, API: device.APIOpenCL, MemoryBytes: memory(t, d, size), PlatformIndex: strings.Count(id, "'"),
			},
			ReservedMemoryBytes: reserved[id],
		})
	}
	return node
}

// adoptedOf reads INSTANCE:FUNCTION or INSTANCE:FUNCTION:DEVICE:MEMORY.
func adoptedOf(t *testing.T, d *datadriven.TestData) []scheduler.Adopted {
	var all []scheduler.Adopted
	for _, one := range list(d, "adopted") {
		parts := strings.Split(one, ":")
		adopted := scheduler.Adopted{Instance: parts[0], Key: scheduler.Key{Tenant: "default", Function: parts[1], Version: "1"}}
		if len(parts) > 2 {
			adopted.Slices = []device.Slice{{DeviceID: parts[2], MemoryBytes: memory(t, d, parts[3])}}
		}
		all = append(all, adopted)
	}
	return all
}

func list(d *datadriven.TestData, key string) []string {
	for _, argument := range d.CmdArgs {
		if argument.Key == key {
			return argument.Vals
		}
	}
	return nil
}

func text(t *testing.T, d *datadriven.TestData, key, otherwise string) string {
	if d.HasArg(key) {
		d.ScanArgs(t, key, &otherwise)
	}
	return otherwise
}

func number(t *testing.T, d *datadriven.TestData, key string, otherwise int) int {
	if d.HasArg(key) {
		d.ScanArgs(t, key, &otherwise)
	}
	return otherwise
}

func memory(t *testing.T, d *datadriven.TestData, size string) uint64 {
	bytes, err := store.ParseMemory(size)
	if err != nil {
		d.Fatalf(t, "memory: %v", err)
	}
	return bytes
}
