package com.getcapacitor;

import android.app.Activity;
import android.content.Context;
import android.content.Intent;

public class Plugin {

    public void load() {}

    public Context getContext() {
        return null;
    }

    /** Really an `AppCompatActivity`. */
    public Activity getActivity() {
        return null;
    }

    protected void handleOnNewIntent(Intent intent) {}

    protected void handleOnResume() {}

    protected void handleOnPause() {}

    protected void notifyListeners(String event, JSObject data, boolean retainUntilConsumed) {}

    protected boolean hasListeners(String event) {
        return false;
    }

    public PermissionState getPermissionState(String alias) {
        return null;
    }

    protected void requestPermissionForAlias(String alias, PluginCall call, String callbackName) {}

    public void requestPermissions(PluginCall call) {}
}
