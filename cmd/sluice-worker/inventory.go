package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"sluice/broker/device"
	"sluice/broker/device/nvml"
	"sluice/broker/device/opencl"
	"sluice/broker/handover"
)

// keepOutput returns what was standard output. Drivers may print too: from now on they print among the errors.
func keepOutput(name string) (*os.File, error) {
	fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("keeping standard output: %w", err)
	}
	if err := unix.Dup3(2, 1, 0); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("keeping standard output: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// probe prints the inventory.
func probe() error {
	out, err := keepOutput("inventory")
	if err != nil {
		return err
	}
	defer out.Close()
	devices, notes, err := opencl.Devices()
	if err != nil {
		return err
	}
	notes = append(notes, addManaged(devices)...)
	if err := json.NewEncoder(out).Encode(handover.Inventory{Devices: devices, Notes: notes}); err != nil {
		return fmt.Errorf("printing the inventory: %w", err)
	}
	return nil
}

// addManaged adds what the management library knows of devices, where there is one. It is no reason to lend none.
func addManaged(devices []device.Device) (notes []string) {
	library, err := nvml.Open()
	if errors.Is(err, nvml.ErrNoLibrary) {
		return nil
	}
	if err != nil {
		return []string{err.Error()}
	}
	defer func() {
		if err := library.Close(); err != nil {
			notes = append(notes, err.Error())
		}
	}()
	gpus, notes, err := library.GPUs()
	if err != nil {
		return []string{err.Error()}
	}
	return append(notes, nvml.Match(devices, gpus)...)
}

// watch prints health events. Without a management library there are none, and it ends at once.
func watch() error {
	out, err := keepOutput("health")
	if err != nil {
		return err
	}
	defer out.Close()
	library, err := nvml.Open()
	if errors.Is(err, nvml.ErrNoLibrary) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	encoder := json.NewEncoder(out)
	err = library.Watch(ctx, func(e device.HealthEvent) error { return encoder.Encode(e) })
	return errors.Join(err, library.Close())
}
