package lease

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"sluice/broker/device"
)

var epoch = time.Unix(0, 0).UTC()

// TestLedger replays the transcripts in testdata: one command is one call, times are seconds since the start.
func TestLedger(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var l *Ledger
		now := epoch
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out := command(t, d, &l, &now)
			if out == "" {
				out = "ok"
			}
			return strings.TrimSpace(out) + "\n"
		})
	})
}

func command(t *testing.T, d *datadriven.TestData, l **Ledger, now *time.Time) string {
	seconds := func() time.Duration { return time.Duration(intArg(t, d, "s", 60)) * time.Second }
	switch d.Cmd {
	case "pool":
		made, err := NewLedger(parseDevices(t, d.Input))
		*l = made
		return text(err)
	case "at":
		*now = epoch.Add(seconds())
		return ""
	case "grant":
		granted, err := (*l).Grant(*now, stringArg(t, d, "id", ""), stringArg(t, d, "token", "t-"+stringArg(t, d, "id", "")), Request{
			Tenant: stringArg(t, d, "tenant", "default"), Holder: stringArg(t, d, "holder", "h"), API: stringArg(t, d, "api", ""),
			Slices: parseSlices(t, d), Duration: seconds(),
		})
		return result(granted, err)
	case "break":
		(*l).Break(stringArg(t, d, "device", ""), "is broken: "+strings.TrimSpace(d.Input))
		return ""
	case "adopt": // granted-at and expires-at by an earlier ledger; s is the duration
		adopted, err := (*l).Adopt(*now, Lease{
			ID: stringArg(t, d, "id", ""), Token: stringArg(t, d, "token", "t-"+stringArg(t, d, "id", "")),
			Tenant: stringArg(t, d, "tenant", "default"), Holder: stringArg(t, d, "holder", "h"), Slices: parseSlices(t, d),
			GrantedAt: epoch.Add(time.Duration(intArg(t, d, "granted-at", 0)) * time.Second),
			ExpiresAt: epoch.Add(time.Duration(intArg(t, d, "expires-at", 0)) * time.Second),
		}, seconds())
		return result(adopted, err)
	case "tenant":
		(*l).SetTenantLimit(stringArg(t, d, "name", ""), TenantLimit{MemoryBytes: uint64(intArg(t, d, "memory", 0)), Disabled: d.HasArg("disabled")})
		return ""
	case "renew":
		renewed, err := (*l).Renew(*now, stringArg(t, d, "id", ""), seconds())
		return result(renewed, err)
	case "end":
		ended, err := (*l).End(stringArg(t, d, "id", ""))
		return result(ended, err)
	case "free":
		return text((*l).Free(stringArg(t, d, "id", "")))
	case "expire":
		return list((*l).Expire(*now))
	case "leases":
		return list((*l).Leases())
	case "token":
		found, err := (*l).ByToken(*now, stringArg(t, d, "token", ""))
		return result(found, err)
	case "next":
		at, ok := (*l).NextExpiry()
		if !ok {
			return "never"
		}
		return fmt.Sprintf("%ds", int(at.Sub(epoch).Seconds()))
	case "available":
		var b strings.Builder
		for _, dev := range (*l).Devices() {
			memoryBytes, computeMilli := (*l).Available(dev.ID)
			fmt.Fprintf(&b, "%s memory=%d compute=%d\n", dev.ID, memoryBytes, computeMilli)
		}
		return b.String()
	}
	t.Fatalf("unknown command %s", d.Cmd)
	return ""
}

func text(err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return ""
}

func result(l Lease, err error) string {
	if err != nil {
		return text(err)
	}
	return list([]Lease{l})
}

func list(leases []Lease) string {
	if len(leases) == 0 {
		return "none"
	}
	var b strings.Builder
	for _, l := range leases {
		fmt.Fprintf(&b, "%s %s/%s %d-%ds", l.ID, l.Tenant, l.Holder, int(l.GrantedAt.Sub(epoch).Seconds()), int(l.ExpiresAt.Sub(epoch).Seconds()))
		for _, s := range l.Slices {
			fmt.Fprintf(&b, " [%s memory=%d compute=%d %s]", s.DeviceID, s.MemoryBytes, s.ComputeMilli, s.Keeper)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func parseDevices(t *testing.T, input string) []device.Device {
	var devices []device.Device
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		if line == "" {
			continue
		}
		d := device.Device{API: device.APIOpenCL}
		if n, err := fmt.Sscan(line, &d.ID, &d.MemoryBytes, &d.PlatformIndex); n < 2 { // most are of one platform
			t.Fatalf("device %q: %v", line, err)
		}
		devices = append(devices, d)
	}
	return devices
}

// parseSlices reads arguments like slice=(device,memory,compute) or slice=(any,memory,compute,hardware).
func parseSlices(t *testing.T, d *datadriven.TestData) []device.Slice {
	var parsed []device.Slice
	for _, arg := range d.CmdArgs {
		if arg.Key != "slice" {
			continue
		}
		var s device.Slice
		if arg.Vals[0] != "any" {
			s.DeviceID = arg.Vals[0]
		}
		if _, err := fmt.Sscan(strings.Join(arg.Vals[1:3], " "), &s.MemoryBytes, &s.ComputeMilli); err != nil {
			t.Fatalf("slice %v: %v", arg.Vals, err)
		}
		if len(arg.Vals) > 3 {
			s.Keeper = device.Keeper(arg.Vals[3])
		}
		parsed = append(parsed, s)
	}
	return parsed
}

func stringArg(t *testing.T, d *datadriven.TestData, key, fallback string) string {
	if d.HasArg(key) {
		d.ScanArgs(t, key, &fallback)
	}
	return fallback
}

func intArg(t *testing.T, d *datadriven.TestData, key string, fallback int) int {
	if d.HasArg(key) {
		d.ScanArgs(t, key, &fallback)
	}
	return fallback
}

func TestErrorsCarryTheirKind(t *testing.T) {
	l, err := NewLedger([]device.Device{{ID: "d", API: device.APIOpenCL, MemoryBytes: 10}})
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Tenant: "t", Holder: "h", Slices: []device.Slice{{MemoryBytes: 11}}, Duration: time.Minute}
	if _, err := l.Grant(epoch, "a", "x", r); !errors.Is(err, ErrNoCapacity) {
		t.Errorf("too much memory: %v", err)
	}
	r.Slices[0].MemoryBytes = 0
	if _, err := l.Grant(epoch, "a", "x", r); !errors.Is(err, ErrInvalid) || !errors.Is(err, device.ErrInvalid) {
		t.Errorf("no memory: %v", err)
	}
	if _, err := l.Renew(epoch, "a", time.Minute); !errors.Is(err, ErrNotFound) {
		t.Errorf("renewing nothing: %v", err)
	}
	r.Tenant = strings.Repeat("x", TenantBytesMax+1)
	if _, err := l.Grant(epoch, "a", "x", r); !errors.Is(err, ErrInvalid) {
		t.Errorf("long tenant: %v", err)
	}
}
