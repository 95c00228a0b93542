package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"sluice/proto/gen/control"
	"sluice/proto/gen/inference"
	"sluice/proto/tensorjson"
)

const (
	listenDefault         = "127.0.0.1:8001"
	invokeTimeoutDefault  = time.Minute
	messageBytesMax       = 64 << 20
	authorizationMetadata = "authorization"
	instanceReady         = "ready" // control.Instance.State
)

type invokeFlags struct {
	address string
	file    string
	tls     bool
	version string
	timeout time.Duration
}

func newInvokeCommand(g *globals) *cobra.Command {
	var flags invokeFlags
	command := &cobra.Command{
		Use:   "invoke FUNCTION [REQUEST]",
		Short: "Send one request of JSON tensors to a function and print its answer as JSON",
		Example: `  sluice invoke simple '{"inputs": [
    {"name": "INPUT0", "datatype": "INT32", "shape": [1, 2], "data": [1, 2]},
    {"name": "INPUT1", "datatype": "INT32", "shape": [1, 2], "data": [3, 4]}]}'
  sluice invoke digits -f request.json`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeFunctions(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := requestText(flags.file, args[1:], cmd)
			if err != nil {
				return err
			}
			request, form, err := tensorjson.ParseRequest(text, tensorjson.WholeBody, messageBytesMax)
			if err != nil {
				return usageError{err}
			}
			request.ModelName, request.ModelVersion = args[0], flags.version
			stop := showProgress(cmd.ErrOrStderr(), waitingFor(g, args[0]))
			response, err := infer(cmd.Context(), g.remote, flags, request)
			stop()
			if err != nil {
				return callError{"invoking " + args[0], err}
			}
			answer, _, err := tensorjson.FormatResponse(response, form)
			if err != nil {
				return fmt.Errorf("the answer of %s: %w", args[0], err)
			}
			_, err = cmd.OutOrStdout().Write(append(answer, '\n'))
			return err
		},
	}
	set := command.Flags()
	set.StringVar(&flags.address, "address", listenDefault, "where the gateway listens")
	set.StringVarP(&flags.file, "file", "f", "", "a file with the JSON request; - for standard input")
	set.BoolVar(&flags.tls, "tls", false, "the gateway speaks TLS; --ca says so too")
	set.StringVar(&flags.version, "version", "", "the function's version; empty for the newest")
	set.DurationVar(&flags.timeout, "timeout", invokeTimeoutDefault, "the request's deadline, a cold start included")
	return command
}

// waitingFor tells from the instances what a request waits for. Whoever may not ask the daemon is not told.
func waitingFor(g *globals, function string) func(time.Duration) string {
	return func(took time.Duration) string {
		doing := "waiting for " + function
		ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
		defer cancel()
		_ = withControl(ctx, g, func(ctx context.Context, client control.ControlClient) error {
			response, err := client.ListInstances(ctx, &control.ListInstancesRequest{Tenant: g.tenant, Function: function})
			if err != nil {
				return err
			}
			ready := slices.ContainsFunc(response.GetInstances(), func(i *control.Instance) bool { return i.GetState() == instanceReady })
			if len(response.GetInstances()) > 0 && !ready {
				doing = "starting an instance of " + function
			}
			return nil
		})
		return fmt.Sprintf("%s, %s", doing, took)
	}
}

func requestText(file string, args []string, cmd *cobra.Command) ([]byte, error) {
	if (file == "") == (len(args) == 0) {
		return nil, fmt.Errorf("give the request either as an argument or with --file")
	}
	if file == "" {
		return []byte(args[0]), nil
	}
	return readFileOrStdin(file, cmd.InOrStdin())
}

func infer(ctx context.Context, from remote, flags invokeFlags, request *inference.ModelInferRequest) (*inference.ModelInferResponse, error) {
	secured := insecure.NewCredentials()
	if flags.tls || from.ca != "" {
		var err error
		if secured, err = from.credentials(); err != nil {
			return nil, err
		}
	}
	conn, err := dial(flags.address, grpc.WithTransportCredentials(secured), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, flags.timeout)
	defer cancel()
	if from.key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, authorizationMetadata, "Bearer "+from.key)
	}
	return inference.NewGRPCInferenceServiceClient(conn).ModelInfer(ctx, request)
}
