"""The five event-sourced services and the gateway; a service never imports another."""
