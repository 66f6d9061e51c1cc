package dev.pager.app;

import com.getcapacitor.BridgeActivity;

public class MainActivity extends BridgeActivity {}
