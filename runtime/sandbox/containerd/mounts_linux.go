package containerd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/mount"
)

// MountIn has images be mounted in folder, which is this process's alone, while Create looks into them, and clears away what a
// process that was killed meanwhile has left there. It is called before the first Connect.
func MountIn(folder string) error {
	if err := mount.SetTempMountLocation(folder); err != nil {
		return fmt.Errorf("making the folder for mounts: %w", err)
	}
	left, err := mount.CleanupTempMounts(0)
	if err = errors.Join(append(left, err)...); err != nil {
		return fmt.Errorf("clearing mounts that were left behind: %w", err)
	}
	// A folder on which nothing was mounted yet, or any more.
	empty, err := os.ReadDir(folder)
	for _, entry := range empty {
		err = errors.Join(err, os.Remove(filepath.Join(folder, entry.Name())))
	}
	if err != nil {
		return fmt.Errorf("clearing mounts that were left behind: %w", err)
	}
	return nil
}
