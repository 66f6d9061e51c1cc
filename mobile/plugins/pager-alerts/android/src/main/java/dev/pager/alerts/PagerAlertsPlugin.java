package dev.pager.alerts;

import android.Manifest;
import android.content.ActivityNotFoundException;
import android.content.Context;
import android.content.Intent;
import android.net.Uri;
import android.os.Build;
import android.os.Handler;
import android.os.Looper;
import android.provider.Settings;
import android.util.Log;
import com.getcapacitor.JSObject;
import com.getcapacitor.PermissionState;
import com.getcapacitor.Plugin;
import com.getcapacitor.PluginCall;
import com.getcapacitor.PluginMethod;
import com.getcapacitor.annotation.CapacitorPlugin;
import com.getcapacitor.annotation.Permission;
import com.getcapacitor.annotation.PermissionCallback;
import com.google.firebase.messaging.FirebaseMessaging;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.concurrent.atomic.AtomicBoolean;

/** The app's side of the plugin; `definitions.ts` says what each call is for. */
@CapacitorPlugin(
    name = "PagerAlerts",
    permissions = @Permission(alias = "notifications", strings = { Manifest.permission.POST_NOTIFICATIONS })
)
public final class PagerAlertsPlugin extends Plugin {

    private static final int LONGEST_INPUT = 65_536;
    private static final int LONGEST_FIELD = 4_096;
    private static final long LONGEST_DELETION_MS = 5_000;

    private volatile boolean isInFront;

    @Override
    public void load() {
        Events.listen(this);
        Channels.make(getContext());
        opened(getActivity().getIntent());
    }

    @Override
    protected void handleOnNewIntent(Intent intent) {
        super.handleOnNewIntent(intent);
        opened(intent);
    }

    @Override
    protected void handleOnResume() {
        super.handleOnResume();
        isInFront = true;
        Channels.make(getContext()); // the person may come from the settings
        if (!new Outbox(getContext()).due().isEmpty()) {
            Courier.send(getContext(), () -> {});
        }
    }

    @Override
    protected void handleOnPause() {
        isInFront = false; // what rings goes on: a screen that went dark by itself is no answer
        super.handleOnPause();
    }

    boolean showsPages() {
        return isInFront && hasListeners("received");
    }

    void tell(String event, JSObject data, boolean kept) {
        notifyListeners(event, data, kept);
    }

    @PluginMethod
    public void checkHealth(PluginCall call) {
        call.resolve(health());
    }

    @Override
    @PluginMethod
    public void requestPermissions(PluginCall call) {
        boolean isAsked = Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU;
        if (isAsked && getPermissionState("notifications") != PermissionState.GRANTED) {
            requestPermissionForAlias("notifications", call, "asked");
        } else {
            asked(call);
        }
    }

    @PermissionCallback
    private void asked(PluginCall call) {
        Channels.make(getContext());
        fetchToken();
        call.resolve(health());
    }

    @PluginMethod
    public void register(PluginCall call) {
        Channels.make(getContext());
        new Vault(getContext()).page();
        fetchToken();
        call.resolve();
    }

    @PluginMethod
    public void confirmToken(PluginCall call) {
        String token = call.getString("token", "");
        if (token.isEmpty() || token.length() > LONGEST_FIELD) {
            call.reject("token: must be the one that came as `token`", "INVALID");
            return;
        }
        try {
            Vault vault = new Vault(getContext());
            vault.confirm(token);
            if (token.equals(vault.token())) {
                new Tray(getContext()).untell("token");
            }
            call.resolve();
        } catch (GeneralSecurityException | IOException shut) {
            call.reject("the phone's key store does not open", "KEY_STORE", shut);
        }
    }

    @PluginMethod
    public void createKey(PluginCall call) {
        try {
            JSObject made = new JSObject();
            made.put("jwk", DeviceKey.make(Boolean.TRUE.equals(call.getBoolean("replace", false))));
            made.put("hardware", Boolean.TRUE.equals(DeviceKey.isInHardware()));
            call.resolve(made);
        } catch (GeneralSecurityException | IOException shut) {
            call.reject("the phone's key store does not open", "KEY_STORE", shut);
        }
    }

    @PluginMethod
    public void sign(PluginCall call) {
        String input = call.getString("input", "");
        if (input.isEmpty() || input.length() > LONGEST_INPUT) {
            call.reject("input: must be 1 to " + LONGEST_INPUT + " characters", "INVALID");
            return;
        }
        try {
            byte[] signed = DeviceKey.sign(input.getBytes(StandardCharsets.UTF_8));
            if (signed == null) {
                call.reject("this device has no key: sign in", "NO_KEY");
                return;
            }
            JSObject answer = new JSObject();
            answer.put("signature", Proof.encode(signed));
            call.resolve(answer);
        } catch (GeneralSecurityException | IOException shut) {
            call.reject("the phone's key store does not open", "KEY_STORE", shut);
        }
    }

    @PluginMethod
    public void storeCredential(PluginCall call) {
        try {
            Vault.Credential given = new Vault.Credential(
                ServerAddress.checked(call.getString("serverUrl")),
                field(call, "deviceCredential"),
                field(call, "deviceId"),
                field(call, "userId")
            );
            Vault vault = new Vault(getContext());
            Vault.Credential before = vault.credential();
            if (before != null && !before.userId.equals(given.userId)) {
                forget(vault); // another person's
            } else if (before != null && !before.serverUrl.equals(given.serverUrl)) {
                vault.unconfirm(); // the server has moved, or it is another one, which knows no token of ours
            }
            vault.keep(given);
            vault.page();
            new Tray(getContext()).untell("nobody");
            call.resolve();
        } catch (IllegalArgumentException invalid) {
            call.reject(invalid.getMessage(), "INVALID");
        } catch (GeneralSecurityException | IOException shut) {
            call.reject("the phone's key store does not open", "KEY_STORE", shut);
        }
    }

    @PluginMethod
    public void wipe(PluginCall call) {
        Vault vault = new Vault(getContext());
        vault.forgetPerson(); // first: from here on nothing is sent in this person's name
        forget(vault);
        vault.forgetToken();
        try {
            if (Boolean.TRUE.equals(call.getBoolean("key", false))) {
                DeviceKey.forget();
            }
        } catch (GeneralSecurityException | IOException shut) {
            call.reject("the phone's key store does not open", "KEY_STORE", shut);
            return;
        }
        endPushes(call::resolve);
    }

    /**
     * A phone that nobody is signed in on gets no pages: its token is dead from now on. Whoever registers at once must
     * not be given the one that is being deleted, so `done` is called afterwards; without a network, soon all the same.
     */
    private static void endPushes(Runnable done) {
        AtomicBoolean isOver = new AtomicBoolean();
        Runnable once = () -> {
            if (isOver.compareAndSet(false, true)) {
                done.run();
            }
        };
        try {
            FirebaseMessaging firebase = FirebaseMessaging.getInstance();
            firebase.setAutoInitEnabled(false);
            new Handler(Looper.getMainLooper()).postDelayed(once, LONGEST_DELETION_MS);
            firebase.deleteToken().addOnCompleteListener(task -> once.run());
        } catch (IllegalStateException noFirebase) {
            Log.i("Pager", "no push to end: this build has no Firebase configuration");
            once.run();
        }
    }

    private void forget(Vault vault) {
        vault.forgetPerson();
        new Outbox(getContext()).forget();
        new Memory(getContext()).forget();
        new Courier(getContext()).forget();
        Ringer.silence();
        new Tray(getContext()).clearAll();
    }

    @PluginMethod
    public void ring(PluginCall call) {
        int seconds = call.getInt("seconds", Ringer.USUAL);
        Ringer.ring(getContext(), Priority.of(call.getString("priority")), seconds, null);
        call.resolve();
    }

    @PluginMethod
    public void silence(PluginCall call) {
        Ringer.silence();
        call.resolve();
    }

    @PluginMethod
    public void clear(PluginCall call) {
        String incidentId = call.getString("incidentId");
        Tray tray = new Tray(getContext());
        if (incidentId == null) {
            Ringer.silence();
            tray.clearAll();
        } else if (Push.isId(incidentId)) {
            String notificationId = tray.shown(incidentId);
            if (notificationId != null) {
                new Memory(getContext()).answered(notificationId);
            }
            Ringer.silence(incidentId);
            tray.clear(incidentId);
        } else {
            call.reject("incidentId: must be the id of an incident", "INVALID");
            return;
        }
        call.resolve();
    }

    @PluginMethod
    public void openSettings(PluginCall call) {
        Intent intent = settings(call.getString("which", ""));
        if (intent == null) {
            call.reject("this phone has no such page", "UNSUPPORTED");
            return;
        }
        try {
            getActivity().startActivity(intent);
            call.resolve();
        } catch (ActivityNotFoundException none) {
            call.reject("this phone has no such page", "UNSUPPORTED");
        }
    }

    private Intent settings(String which) {
        String name = getContext().getPackageName();
        Uri app = Uri.fromParts("package", name, null);
        boolean hasChannels = Build.VERSION.SDK_INT >= Build.VERSION_CODES.O;
        switch (which) {
            case "app":
                return new Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, app);
            case "notifications":
                return hasChannels
                    ? new Intent(Settings.ACTION_APP_NOTIFICATION_SETTINGS).putExtra(Settings.EXTRA_APP_PACKAGE, name)
                    : new Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, app);
            case "channel":
                return hasChannels
                    ? new Intent(Settings.ACTION_CHANNEL_NOTIFICATION_SETTINGS)
                        .putExtra(Settings.EXTRA_APP_PACKAGE, name)
                        .putExtra(Settings.EXTRA_CHANNEL_ID, Channels.CRITICAL)
                    : null;
            case "dnd":
                return new Intent(Settings.ACTION_NOTIFICATION_POLICY_ACCESS_SETTINGS);
            case "fullScreenIntent":
                return Build.VERSION.SDK_INT >= Build.VERSION_CODES.UPSIDE_DOWN_CAKE
                    ? new Intent(Settings.ACTION_MANAGE_APP_USE_FULL_SCREEN_INTENT, app)
                    : null;
            case "battery":
                return new Intent(Settings.ACTION_IGNORE_BATTERY_OPTIMIZATION_SETTINGS);
            case "sound":
                return new Intent(Settings.ACTION_SOUND_SETTINGS);
            default:
                return null;
        }
    }

    /** Asks Firebase; what it was before is told at once where the server does not know it yet. */
    private void fetchToken() {
        Context context = getContext();
        try {
            FirebaseMessaging firebase = FirebaseMessaging.getInstance();
            firebase.setAutoInitEnabled(true); // from now on it tells when the token changes
            firebase
                .getToken()
                .addOnCompleteListener(task -> {
                    if (task.isSuccessful() && task.getResult() != null) {
                        got(context, task.getResult());
                    } else {
                        Log.w("Pager", "no push token now; it is asked for again at the next start");
                    }
                });
        } catch (IllegalStateException noFirebase) {
            Log.w("Pager", "no push: this build has no Firebase configuration");
        }
    }

    private static void got(Context context, String token) {
        Vault vault = new Vault(context);
        try {
            vault.keepToken(token);
        } catch (GeneralSecurityException | IOException shut) {
            Log.w("Pager", "the push token is not kept: " + shut.getClass().getSimpleName());
        }
        if (!vault.isConfirmed(token)) {
            Events.token(token);
        }
    }

    private JSObject health() {
        String permission = "granted";
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) {
            PermissionState state = getPermissionState("notifications");
            permission = state == PermissionState.GRANTED ? "granted" : state == PermissionState.DENIED ? "denied" : "prompt";
        }
        return Health.read(getContext(), permission, isConfigured());
    }

    private static boolean isConfigured() {
        try {
            return FirebaseMessaging.getInstance() != null;
        } catch (IllegalStateException noFirebase) {
            return false;
        }
    }

    private void opened(Intent intent) {
        Openings.Opened opened = Openings.read(getContext(), intent);
        if (opened != null) {
            Ringer.silence(opened.incidentId);
            Outbox outbox = new Outbox(getContext());
            outbox.add(
                Outbox.Item.receipt(opened.incidentId, opened.notificationId, "opened", Now.of(getContext()))
            );
            Courier.send(getContext(), () -> {});
            if (!Openings.TEST.equals(opened.how)) {
                Events.opened(opened);
            }
        }
    }

    private static String field(PluginCall call, String name) {
        String text = call.getString(name);
        if (text == null || text.isEmpty() || text.length() > LONGEST_FIELD) {
            throw new IllegalArgumentException(name + ": must be 1 to " + LONGEST_FIELD + " characters");
        }
        return text;
    }
}
