package function

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Main is the whole main function of a program that serves model: it reads the
// environment (see [ConfigFromEnvironment]), serves until SIGTERM or SIGINT, and ends
// the process, with status 0 if it was told to stop and 1 after an error. A second
// signal ends it at once.
func Main(model Model) {
	if err := run(model); err != nil {
		newLog().Error("function ends", "error", err)
		os.Exit(1)
	}
}

func run(model Model) error {
	config, err := ConfigFromEnvironment()
	if err != nil {
		return err
	}
	slog.SetDefault(config.Log) // for what the model logs
	server, err := NewServer(model, config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // the second signal meets the default action
	return server.Run(ctx)
}
