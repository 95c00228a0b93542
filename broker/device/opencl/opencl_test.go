package opencl

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"sluice/broker/device"
)

// TestDevicesAgreesWithClinfo compares with what another program reads from the same drivers.
func TestDevicesAgreesWithClinfo(t *testing.T) {
	if err := os.Setenv("POCL_CACHE_DIR", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	devices, notes, err := Devices()
	if err != nil || len(devices) == 0 {
		t.Fatalf("%d devices, notes %q, error %v", len(devices), notes, err)
	}
	out, err := exec.Command("clinfo", "--raw").Output()
	if err != nil {
		t.Fatalf("clinfo: %v", err)
	}
	for _, d := range devices {
		for _, want := range []string{d.Name, d.Vendor, d.Platform, d.DriverVersion} {
			if !strings.Contains(string(out), want) {
				t.Errorf("clinfo does not know %q", want)
			}
		}
		if d.API != device.APIOpenCL || d.Kind == "" || d.ComputeUnits < 1 || d.MaxAllocBytes > d.MemoryBytes {
			t.Errorf("implausible device %+v", d)
		}
	}
}
