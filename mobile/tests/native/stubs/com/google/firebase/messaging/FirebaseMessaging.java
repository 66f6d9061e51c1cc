package com.google.firebase.messaging;

import com.google.android.gms.tasks.Task;

public class FirebaseMessaging {

    public static synchronized FirebaseMessaging getInstance() {
        return null;
    }

    public void setAutoInitEnabled(boolean enabled) {}

    public Task<String> getToken() {
        return null;
    }

    public Task<Void> deleteToken() {
        return null;
    }
}
