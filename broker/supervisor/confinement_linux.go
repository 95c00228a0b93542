package supervisor

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"sluice/broker/handover"
)

// namespaces are what every confined worker has for itself. In its net namespace there is no interface.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// confinement is how this host lets us start workers.
type confinement int

const (
	confinedByRoot confinement = iota // namespaces, and another user
	confinedByUser                    // namespaces in a user namespace of the daemon's own user
	unconfined
)

// hostConfinement is the best that the daemon's privileges promise; Probe finds out whether it works.
func hostConfinement() confinement {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if os.Geteuid() == 0 && unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0 {
		return confinedByRoot
	}
	return confinedByUser
}

func (c confinement) stage() string {
	if c == unconfined {
		return handover.StagePlain
	}
	return handover.StageConfine
}

func (c confinement) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true} // a terminal's signals are for the daemon
	switch c {
	case confinedByRoot:
		attributes.Cloneflags = namespaces
	case confinedByUser:
		attributes.Cloneflags = namespaces | unix.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	case unconfined:
	}
	return attributes
}

// driverVariables are the daemon's own that a worker gets too: they say which drivers there are, and which devices those show.
var driverVariables = []string{
	"OCL_ICD_VENDORS", "OCL_ICD_FILENAMES", "OPENCL_VENDOR_PATH", "LD_LIBRARY_PATH", "POCL_DEVICES", "CUDA_VISIBLE_DEVICES",
}

// environment is all that a worker gets. PoCL wants its cache's folder set before it lists devices.
func (c confinement) environment(folder string) []string {
	scratch := "/tmp" // private to a confined worker
	if c == unconfined {
		scratch = filepath.Join(folder, "scratch")
	}
	environment := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + scratch, "TMPDIR=" + scratch,
		handover.BuildsVariable + "=" + filepath.Join(scratch, "builds"), "POCL_CACHE_DIR=" + filepath.Join(scratch, "builds", "pocl"),
	}
	for _, name := range driverVariables {
		if value, set := os.LookupEnv(name); set {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}
