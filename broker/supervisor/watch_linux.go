package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"sluice/broker/device"
	"sluice/broker/handover"
)

// healthLineBytesMax bounds one line of a watching worker.
const healthLineBytesMax = 4 << 10

// Pauses between watching workers that ended.
const (
	watchPauseMin = time.Second
	watchPauseMax = time.Minute
)

// ErrWatch is wrapped by what ends a watch that ctx did not.
var ErrWatch = errors.New("watching the devices' health")

// Watch has a worker watch the devices' health until ctx ends, and another one when it ends by itself. report is called from
// one goroutine. A host that has nothing to watch ends it without an error.
func (s *Supervisor) Watch(ctx context.Context, report func(device.HealthEvent)) error {
	for pause := watchPauseMin; ; pause = min(2*pause, watchPauseMax) {
		err := s.watchOnce(ctx, report)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		s.config.Log.Warn("nobody watches the devices' health", "error", err, "again_in", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// watchOnce returns nil when the worker has nothing to watch.
func (s *Supervisor) watchOnce(ctx context.Context, report func(device.HealthEvent)) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWatch, err)
	}
	defer reader.Close()
	p, err := s.start(handover.ModeWatch, writer)
	writer.Close()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWatch, err)
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	readErr := readHealth(reader, report)
	if readErr != nil {
		p.Kill()
	}
	<-p.Done()
	switch {
	case readErr != nil:
		return readErr
	case !p.success:
		return fmt.Errorf("%w: the worker ended: %s", ErrWatch, p.Reason())
	}
	return nil
}

// readHealth trusts a watching worker no more than another one.
func readHealth(reader io.Reader, report func(device.HealthEvent)) error {
	lines := bufio.NewScanner(reader)
	lines.Buffer(make([]byte, 0, healthLineBytesMax), healthLineBytesMax)
	for lines.Scan() {
		var event device.HealthEvent
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return fmt.Errorf("%w: malformed event: %w", ErrWatch, err)
		}
		if err := event.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrWatch, err)
		}
		report(event)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrWatch, err)
	}
	return nil
}
