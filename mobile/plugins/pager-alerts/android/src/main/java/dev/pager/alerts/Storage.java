package dev.pager.alerts;

import android.content.Context;
import android.content.SharedPreferences;
import android.os.UserManager;

/** Where the plugin keeps things: open before the phone is unlocked for the first time after a start. */
final class Storage {

    private Storage() {}

    static SharedPreferences file(Context context, String name) {
        return context.createDeviceProtectedStorageContext().getSharedPreferences(name, Context.MODE_PRIVATE);
    }

    /** Whether somebody has unlocked it since it was started; before that most libraries cannot work. */
    static boolean isUnlocked(Context context) {
        UserManager users = context.getSystemService(UserManager.class);
        return users == null || users.isUserUnlocked();
    }
}
